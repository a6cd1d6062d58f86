// What a training step takes and gives: one type for the graph, its file, the driver and the targets.

import { dtypes } from '../graph/tensor.js'
import { z } from '../schemas.js'

const name = z.string().check(z.minLength(1))
const tensorSchema = z.strictObject({
  name,
  dtype: z.enum(dtypes),
  /** A number, or the name of a symbolic dimension. */
  shape: z.array(z.union([z.int().check(z.gte(0)), z.string()])),
})

const metricSchema = z.strictObject({
  /** As people call it: `error`, `mae`. */
  name,
  /** The output of the step that it is made from, a scalar. */
  output: name,
  /**
   * `right`: the output counts the examples of the batch that were answered right, and the metric is the part of those that
   * were not. `mean`: the output is the metric, a mean over the batch. `r2`: the output is the mean squared error of `target`,
   * and the metric is 1 − that/variance.
   */
  kind: z.enum(['right', 'mean', 'r2']),
  target: z.optional(name),
})

/** The roles of inputs and outputs that are no state, as a file says them. */
export const rolesSchema = z.strictObject({
  /** What the network takes: the first axis is the batch. */
  inputs: z.array(tensorSchema).check(z.minLength(1)),
  /**
   * What the loss compares its outputs with, the first axis is the batch. `classes`: whole numbers from 0, below it;
   * `ignored`: or this one, which does not count.
   */
  targets: z.array(
    z.extend(tensorSchema, { classes: z.optional(z.int().check(z.gte(1))), ignored: z.optional(z.int()) }),
  ),
  /** Inputs, float32 []: each with what it is unless something else is fed, or null where it has to be fed. */
  hyperparameters: z.record(name, z.nullable(z.number())),
  /** Input of stochastic depth, float32 [G]: each 1 with its survival probability, else 0. */
  gates: z.optional(
    z.strictObject({ name, survival: z.array(z.number().check(z.gt(0), z.lte(1))).check(z.minLength(1)) }),
  ),
  /** Input of what the step draws itself (ops/dropout.ts), float32 [4]: whole numbers in [0, 509), others at each step. */
  seeds: z.optional(name),
  /** Input, float32 [], where several batches make one update: 1/batches at the step that updates, else 0. */
  updateShare: z.optional(name),
  /** Input, int64 []: how many updates there were, 0 at the first step. */
  stepCount: z.optional(name),
  /** Output, float32 []: the mean over the batch, before the update. */
  loss: name,
  metrics: z.array(metricSchema),
  /** State that every batch moves, whether the weights move or not: running statistics. */
  statistics: z.array(name),
})

export type Roles = Readonly<z.infer<typeof rolesSchema>>
/** A target of the loss: an input of the step that is fed from a column of the data set. */
export type TargetInfo = Roles['targets'][number]
/** A metric of the loss, and the output of the step that it is made from. */
export type MetricInfo = Readonly<z.infer<typeof metricSchema>>

/** What the inputs and outputs of a training step are for. The file says it in `rdm.signature`. */
export interface StepSignature extends Roles {
  /** Output → the state, an input of the step or an initializer of the file, that it replaces. */
  readonly updates: Readonly<Record<string, string>>
}

/** The input that is fed by the schedule. */
export const LEARNING_RATE = 'learning_rate'
