// Learning rate by epoch: steps that hold until the next one.
import { z } from 'zod'
import { UserError } from '../errors.js'

/** [first epoch, learning rate] pairs; epochs count from 0 and rise, the first is 0. */
export type Schedule = readonly (readonly [epoch: number, rate: number])[]

export const scheduleSchema = z
  .array(z.tuple([z.int().min(0), z.number().min(0)]))
  .min(1, { error: 'a learning rate schedule needs at least one rate', abort: true })
  .refine((steps) => steps[0]![0] === 0, { error: 'a learning rate schedule starts at epoch 0' })
  .refine((steps) => steps.every(([epoch], i) => i === 0 || epoch > steps[i - 1]![0]), {
    error: 'the epochs of a learning rate schedule rise',
  })

/** The learning rate of an epoch (from 0). */
export function learningRateAt(schedule: Schedule, epoch: number): number {
  return schedule.findLast(([from]) => from <= epoch)![1]
}

/** Text like `0:0.01,1:0.1,80:0.01`, or a single rate for all epochs, to a schedule. */
export const scheduleText: z.ZodType<Schedule, string> = z.string().transform((text, context) => {
  const steps: [number, number][] = []
  for (const part of text.includes(':') ? text.split(',') : [`0:${text}`]) {
    const match = /^\s*(\d{1,9})\s*:\s*(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)\s*$/i.exec(part)
    if (!match) {
      context.addIssue(
        `"${part}" is no step of a learning rate schedule: write epoch:rate, as in 0:0.01,1:0.1,80:0.01, or one rate`,
      )
      return z.NEVER
    }
    steps.push([Number(match[1]), Number(match[2])])
  }
  const result = scheduleSchema.safeParse(steps)
  if (result.success) return result.data
  for (const issue of result.error.issues) context.addIssue(`"${text}": ${issue.message}`)
  return z.NEVER
})

/**
 * Reads a schedule from text like `0:0.01,1:0.1,80:0.01`.
 * @throws UserError when it is not one.
 */
export function parseSchedule(text: string): Schedule {
  const result = scheduleText.safeParse(text)
  if (result.success) return result.data
  throw new UserError(result.error.issues.map((issue) => issue.message).join('; '))
}

export const formatSchedule = (schedule: Schedule): string =>
  schedule.map(([epoch, rate]) => `${epoch}:${rate}`).join(',')
