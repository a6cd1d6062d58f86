// What a job in the queue says, and what comes back from it.

import { createHash } from 'node:crypto'
import { z } from 'zod'
import { UserError } from '../../../core/errors.js'
import type { FitEvent } from '../../../driver/fit/events.js'
import type { Experiment } from '../folder.js'
import { type Job, type PlanModel, planModelSchema } from '../plan.js'

/** The queue of all experiments. Its number is that of what is said in it: other versions do not meet. */
export const QUEUE = 'rdm-onnx-1'

const payloadSchema = z.strictObject({
  model: planModelSchema.omit({ seeds: true }),
  seed: z.int().min(0),
  /** Where its sender has the data, and their fingerprint. */
  data: z.strictObject({ path: z.string().nullable(), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
})
export type Payload = Readonly<z.infer<typeof payloadSchema>>

/**
 * Name of a job in the queue and of its runs in the store: the same for whatever gives the same bytes, so that a run which
 * two experiments have in common is trained once.
 */
export function keyOf({ model, seed, data }: Payload): string {
  const decisive = JSON.stringify([planModelSchema.omit({ seeds: true }).parse(model), seed, data.sha256])
  return `${model.name}.seed-${seed}.${createHash('sha256').update(decisive).digest('hex').slice(0, 16)}`
}

export function payloadOf({ plan, data }: Experiment, { name, seed }: Job): Payload {
  const { seeds, ...model } = plan.models.find((model) => model.name === name)!
  return { model, seed, data: { ...data } }
}

/** Of a job that a worker is given. */
export const modelOf = ({ model, seed }: Payload): PlanModel => ({ ...model, seeds: [seed] })

/** @throws UserError when it is no job of ours */
export function parsePayload(data: unknown, key: string): Payload {
  const result = payloadSchema.safeParse(data)
  if (!result.success) {
    const reasons = result.error.issues.map((issue) => [issue.path.join('.'), issue.message].filter(Boolean).join(': '))
    throw new UserError(`the job ${key} in the queue is damaged: ${reasons.join('; ')}; put it there with rdm-repro`)
  }
  if (keyOf(result.data) !== key)
    throw new UserError(`the job ${key} in the queue is not what its name says: put it there with rdm-repro`)
  return result.data
}

const outcomeSchema = z.strictObject({
  end: z.enum(['finished', 'steps']),
  step: z.int().min(0),
  epochs: z.int().min(0),
  testError: z.number().min(0).max(1).nullable(),
  /** Whose files are the result. */
  attempt: z.string().regex(/^[\w-]+$/),
})
/** What a worker returns of a job that came to its end. */
export type Outcome = Readonly<z.infer<typeof outcomeSchema>>

/** @throws UserError when it is none */
export function parseOutcome(value: unknown, key: string): Outcome {
  const result = outcomeSchema.safeParse(value)
  if (result.success) return result.data
  throw new UserError(`what the queue has of the finished job ${key} is damaged: remove it from the queue`)
}

const standingSchema = z.strictObject({
  /** Machine and process. */
  worker: z.string(),
  /** Steps done in all. */
  step: z.int().min(0),
  /** Complete epochs. */
  epoch: z.int().min(0),
  /** After the last complete epoch that this worker saw; null before there is one. */
  testError: z.number().nullable(),
  /** By the pace of the last steps, as is the next; null before there are any. */
  imagesPerSecond: z.number().nullable(),
  /** Milliseconds to the end of the run. */
  left: z.number().nullable(),
})
/** Where a worker stands with a job. */
export type Standing = Readonly<z.infer<typeof standingSchema>>

/** What a worker tells of a job while it trains. */
export interface Report {
  readonly event: FitEvent
  readonly standing: Standing
}

/** Undefined before a worker has told anything. */
export const standingIn = (progress: unknown): Standing | undefined =>
  z.object({ standing: standingSchema }).safeParse(progress).data?.standing
