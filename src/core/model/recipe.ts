// How a model wants to be trained: written into its file by the exporter, overridable when training starts.
import { z } from 'zod'
import { scheduleSchema } from './schedule.js'

export const recipeSchema = z.strictObject({
  epochs: z.int().min(1).max(1_000_000),
  batchSize: z.int().min(1).max(65_536),
  learningRate: scheduleSchema,
  /** Momentum, weight decay and Nesterov are part of the training step's graph: here they only tell the reader. */
  momentum: z.number().min(0).lt(1),
  weightDecay: z.number().min(0),
  nesterov: z.boolean(),
  /** Random crops and flips of the training images. */
  augment: z.boolean(),
})

export type Recipe = Readonly<z.infer<typeof recipeSchema>>

/** The paper's recipe ("Multi-Residual Networks with ReLU Dropping", section 4), and that of files that carry none. */
export const paperRecipe: Recipe = {
  epochs: 165,
  batchSize: 128,
  // He et al.'s schedule, after a warm-up epoch.
  learningRate: [
    [0, 0.01],
    [1, 0.1],
    [80, 0.01],
    [120, 0.001],
  ],
  momentum: 0.9,
  weightDecay: 1e-4,
  nesterov: false,
  augment: true,
}
