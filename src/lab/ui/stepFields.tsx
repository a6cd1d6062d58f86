// Fields of a training step that several tabs have.

import { z } from 'zod'
import { optimizers } from '../../core/optimizers/text.js'
import { scheduleText } from '../../core/training/schedule.js'
import { Select, TextField } from './fields.js'

/** What a schema takes, as it is written, or nothing. */
export const perhaps = (schema: z.core.$ZodType<unknown, string>): z.ZodType<string | undefined, string> =>
  z.string().transform((text, context) => {
    const trimmed = text.replaceAll(/\s/g, '')
    if (trimmed === '') return undefined
    const read = z.safeParse(schema, trimmed)
    if (read.success) return trimmed
    context.addIssue(read.error.issues[0]!.message)
    return z.NEVER
  })

interface OptimizerFieldProps {
  readonly value: string
  readonly onChange: (value: string) => void
}

export const OptimizerField = ({ value, onChange }: OptimizerFieldProps) => (
  <Select
    label="Optimizer"
    value={value}
    choices={Object.keys(optimizers).map((each) => [each, each] as const)}
    onChange={onChange}
  />
)

interface RateFieldProps {
  readonly hint: string
  /** What it is where nothing is written. */
  readonly usual: string
  readonly value: string | undefined
  readonly onChange: (value: string | undefined) => void
}

/** The schedule of the learning rate, as it is written. */
export const RateField = ({ hint, usual, value, onChange }: RateFieldProps) => (
  <TextField<string | undefined>
    label="Learning rate"
    hint={hint}
    placeholder={usual}
    value={value}
    format={(said) => said ?? ''}
    schema={perhaps(scheduleText)}
    onChange={onChange}
  />
)
