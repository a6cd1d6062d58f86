// --normalize: what pixels are normalized by, and how such images are augmented.

import { z } from 'zod'
import { imagenetPixels, type PixelStatistics } from '../src/core/derive/pixels.js'
import { photoAugmentation, type Recipe } from '../src/core/model/recipe.js'
import { pixelStatistics } from './pixels.js'

/** What images of a data set are normalized by, and how they are augmented. */
export interface Normalization extends Pick<Recipe, 'augment'> {
  readonly pixels: PixelStatistics
}
export const normalizations: Readonly<Record<string, Normalization>> = {
  imagenet: { pixels: imagenetPixels, augment: [...photoAugmentation] },
  cifar10: { pixels: pixelStatistics.cifar10, augment: true },
  cifar100: { pixels: pixelStatistics.cifar100, augment: true },
  // As they are, from 0 to 255: networks that divide by 255 themselves.
  none: { pixels: { mean: [0], std: [1 / 255] }, augment: false },
}

/** `imagenet`, or a mean and a deviation, of each channel or of all: `mean=0.5,std=0.5`, `mean=0.49;0.48;0.45,std=0.2;0.2;0.3`. */
export const normalization: z.ZodType<Normalization, string> = z.string().transform((text, context) => {
  if (Object.hasOwn(normalizations, text)) return normalizations[text]!
  const numbers = '((?:\\d*\\.?\\d+)(?:;\\d*\\.?\\d+)*)'
  const [, ...lists] = new RegExp(`^mean=${numbers},std=${numbers}$`).exec(text) ?? []
  const [mean = [], std = []] = lists.map((list) => list.split(';').map(Number))
  if (mean.length > 0 && mean.length === std.length && std.every((value) => value > 0))
    return { pixels: { mean, std }, augment: false }
  context.addIssue(
    `"${text}" is no normalization: write ${Object.keys(normalizations).join(', ')}, or a mean and a deviation above 0, as in mean=0.5,std=0.5`,
  )
  return z.NEVER
})
