// The options of commands that read an ONNX file and write another: sizes that the first leaves open, and how the second is written.

import { type Command, Option } from 'commander'
import { z } from 'zod'
import { UserError } from '../core/errors.js'
import type { Dim } from '../core/graph/shape.js'
import type { NetworkOptions } from '../core/onnx/network.js'
import { OPSET, writableOpsets } from '../core/onnx/opsets.js'
import { levelNames, type PortableLevel } from '../core/targets/portable/basic.js'
import { writeOutput } from '../driver/output.js'
import { namedShape } from '../study/text.js'
import { collectedBy, parsedBy, wholeNumber } from './command.js'

export interface FileFlags {
  readonly shape?: readonly (readonly [string, readonly Dim[]])[]
  readonly value?: readonly (readonly [string, number])[]
  readonly inline?: true
  readonly portableLevel?: PortableLevel
  readonly opset?: number
  readonly out?: string
}

/** Text like `fc.*,layer4.*`. */
export const nameList = z.string().transform((text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
)

/** Text like `rate=16000`; names of inputs may have any sign in them. */
const namedValue: z.ZodType<readonly [string, number], string> = z.string().transform((text, context) => {
  const [, name, value] = /^(.+)=\s*(-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*$/i.exec(text) ?? []
  if (name !== undefined && value !== undefined) return [name, Number(value)] as const
  context.addIssue(`"${text}" gives an input no value: write NAME=NUMBER, as in rate=16000`)
  return z.NEVER
})

/** @param what is written: the step, the graph */
export const addFileOptions = (program: Command, what: string): Command =>
  program
    .option(
      '--shape <name=sizes>',
      'sizes that the file leaves open, such as image=batch,3,224,224; repeatable',
      collectedBy(namedShape),
    )
    .option(
      '--value <name=number>',
      'an input that is always filled with this number, such as rate=16000; repeatable',
      collectedBy(namedValue),
    )
    .option('--inline', 'write the bodies of functions in place, for runtimes without local functions')
    .addOption(
      new Option('--portable-level <level>', `which operators ${what} is written in (default: standard)`).choices(
        levelNames,
      ),
    )
    .option(
      '--opset <version>',
      `version of ONNX's operators, ${writableOpsets.from} to ${writableOpsets.to} (default: ${OPSET})`,
      parsedBy(wholeNumber(writableOpsets.from, writableOpsets.to)),
    )
    .option('--out <file>', 'write here instead of standard output')

/** How the file is to be read. */
export const readingOf = ({ shape = [], value = [] }: FileFlags): NetworkOptions => ({
  shapes: Object.fromEntries(shape),
  fills: Object.fromEntries(value),
})

/** @throws UserError where a file would go to a terminal */
export function requireDestination({ out }: Pick<FileFlags, 'out'>): void {
  if (!out && process.stdout.isTTY)
    throw new UserError('an ONNX file is no text for a terminal: redirect it (> model.onnx), or give --out FILE')
}

export async function writeOut(bytes: Uint8Array, { out }: Pick<FileFlags, 'out'>): Promise<void> {
  if (out) await writeOutput(out, bytes)
  else process.stdout.write(bytes)
}
