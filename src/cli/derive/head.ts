// --head and --data: the classes of a fresh last layer.

import { z } from 'zod'
import { UserError } from '../../core/errors.js'
import { readDataset } from '../../driver/data/readers.js'
import { wholeNumber } from '../command.js'

export interface HeadFlags {
  readonly head?: number | readonly string[]
  readonly data?: string
}

const classCount = wholeNumber(1, 1_000_000)

/** Text like `5`, or names: `cat,dog,bird`. */
export const headClasses: z.ZodType<number | readonly string[], string> = z.string().transform((text, context) => {
  const names = text.split(',').map((name) => name.trim())
  if (names.length > 1 && names.every((name) => name !== '') && new Set(names).size === names.length) return names
  const count = classCount.safeParse(text)
  if (count.success) return count.data
  context.addIssue(`"${text}" says no classes: write how many there are, or two names and more, as in cat,dog,bird`)
  return z.NEVER
})

/** How many classes a new head has, and their names where they are known. */
export async function headFrom({ head, data }: HeadFlags): Promise<{ head?: number; classes?: readonly string[] }> {
  if (head !== undefined && data !== undefined)
    throw new UserError('--head and --data both say what the classes of the new head are: leave one of them out')
  if (typeof head === 'number') return { head }
  const classes = data === undefined ? head : await classesOf(data)
  return classes ? { head: classes.length, classes } : {}
}

async function classesOf(path: string): Promise<readonly string[]> {
  const { columns } = (await readDataset(path)).train
  const named = Object.values(columns).flatMap((column) =>
    column.kind === 'tensor' && column.classes ? [column.classes] : [],
  )
  if (named.length !== 1)
    throw new UserError(
      `${path} has ${named.length === 0 ? 'no column' : `${named.length} columns`} of named classes; say how many classes there are with --head`,
    )
  return named[0]!
}
