// How a model wants to be trained: written into its file by the exporter, overridable when training starts.
import { z } from '../schemas.js'
import { scheduleSchema } from '../training/schedule.js'

/** Least and most, of positive numbers. */
const range = z
  .tuple([z.number().check(z.gt(0)), z.number().check(z.gt(0))])
  .check(z.refine(([least, most]) => least <= most, 'the first is more than the second'))

/** What is done to each image of a training batch, one after the other. */
export const transformSchema = z.discriminatedUnion('kind', [
  /** A crop of the image's own size out of the image with a border of so many pixels: black, or the image mirrored. */
  z.strictObject({
    kind: z.literal('crop'),
    pixels: z.int().check(z.gte(1), z.lte(1024)),
    border: z.enum(['black', 'reflect']),
  }),
  /** Mirrored in half of the cases; `alternating`: in the first epoch at random, from then on every other epoch (Jordan 2024). */
  z.strictObject({ kind: z.literal('flip'), alternating: z.boolean() }),
  /**
   * A region resized to what the model takes: `scale`, its part of the image's area; `ratio`, its width by its height. Of an image
   * file it is cut out of the file's own pixels. It comes before the others.
   */
  z.strictObject({
    kind: z.literal('random-resized-crop'),
    scale: range.check(z.refine(([, most]) => most <= 1, 'a region is no more than the image')),
    ratio: range,
  }),
])
export type Transform = Readonly<z.infer<typeof transformSchema>>

export const testAugments = ['none', 'mirror', 'mirror-shift'] as const
export type TestAugment = (typeof testAugments)[number]

/** The paper's augmentation (He et al. 2015, section 4.2; Lee et al. 2014). */
export const paperAugmentation: readonly Transform[] = [
  { kind: 'crop', pixels: 4, border: 'black' },
  { kind: 'flip', alternating: false },
]

/** The usual augmentation of photographs (Szegedy et al. 2014). */
export const photoAugmentation: readonly Transform[] = [
  { kind: 'random-resized-crop', scale: [0.08, 1], ratio: [3 / 4, 4 / 3] },
  { kind: 'flip', alternating: false },
]

/** Checks a recipe; a zod schema. */
export const recipeSchema = z.strictObject({
  /** Whole ones, or the last in part. */
  epochs: z.number().check(z.gt(0), z.lte(1_000_000)),
  batchSize: z.int().check(z.gte(1), z.lte(65_536)),
  learningRate: scheduleSchema,
  /** Of the step's other hyperparameters, where they are not what the step says. */
  schedules: z.optional(z.record(z.string(), scheduleSchema)),
  /** What SGD has, where it is the optimizer: part of the training step, here they only tell the reader. */
  momentum: z.optional(z.number().check(z.gte(0), z.lt(1))),
  weightDecay: z.optional(z.number().check(z.gte(0))),
  nesterov: z.optional(z.boolean()),
  /** The optimizer and the loss in words, where they are not SGD and cross-entropy: for readers. */
  optimizer: z.optional(z.string()),
  loss: z.optional(z.string()),
  /** What is done to training images: true, the paper's; false, nothing. */
  augment: z.union([z.boolean(), z.array(transformSchema)]),
  /** Leaves out the smaller batch at the end of an epoch; false unless given. */
  dropLast: z.optional(z.boolean()),
  /**
   * What predictions are averaged over after the last epoch: the image alone unless given, its mirror image too, or also shifts
   * by a pixel.
   */
  testAugment: z.optional(z.enum(testAugments)),
})

/** How a network is trained, as {@link recipeSchema} checks it. A model file carries its own. */
export type Recipe = Readonly<z.infer<typeof recipeSchema>>

/** The paper's recipe ("Multi-Residual Networks with ReLU Dropping", section 4), and that of files that carry none. */
export const paperRecipe = {
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
} satisfies Recipe
