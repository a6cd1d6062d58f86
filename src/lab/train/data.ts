// The data set that a network is trained on: drawn, or read from files of the user.

import { z } from 'zod'
import { UserError } from '../../core/errors.js'
import { elementsOf } from '../../core/graph/tensor.js'
import { type Column, type Dataset, type Split, shared, type TensorColumn } from '../../driver/data/dataset.js'
import { synthesize } from '../../driver/data/synth.js'
import type { Design } from '../design/design.js'

/** Where a data set comes from, so that it can be had again after the page was closed. */
export const sourceSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('drawn'),
    train: z.int().min(2),
    test: z.int().min(1),
    classes: z.int().min(2).max(10),
    seed: z.int().min(0),
  }),
  /** `name` is what the user has to choose again. */
  z.strictObject({ kind: z.literal('files'), name: z.string() }),
])
export type Source = z.infer<typeof sourceSchema>

export interface Data {
  readonly source: Source
  readonly dataset: Dataset
  /** The names of the classes. */
  readonly classes: readonly string[]
  /** Height and width of the images, where they have one. */
  readonly size?: number
  /** The columns of images and labels. */
  readonly images: string
  readonly labels: string
}

/** Draws the data set. */
export const drawn = (source: Extract<Source, { kind: 'drawn' }>): Data => dataFrom(synthesize(source), source)

const channelsFirst = (shape: Column['shape']): boolean => shape.length === 3 && (shape[0] === 1 || shape[0] === 3)

/** Images: files of them, or bytes of one or three channels. */
export const isImages = (column: Column): boolean =>
  column.kind === 'image files' || (column.dtype === 'uint8' && channelsFirst(column.shape))

/** Our networks look at three channels: grey ones are all alike. */
function inColour(column: TensorColumn, count: number): TensorColumn {
  if (column.shape[0] !== 1) return column
  const plane = elementsOf(column.shape)
  const [from, data] = [column.data as Uint8Array, shared('uint8', 3 * count * plane)]
  for (let i = 0; i < count; i++) {
    const image = from.subarray(i * plane, (i + 1) * plane)
    for (let channel = 0; channel < 3; channel++) data.set(image, (3 * i + channel) * plane)
  }
  return { ...column, shape: [3, ...column.shape.slice(1)], data }
}

/**
 * What the page trains on, of any data set.
 * @throws UserError for one without images and classes
 */
export function dataFrom(dataset: Dataset, source: Source): Data {
  const columns = Object.entries(dataset.train.columns)
  const images = columns.find(([, column]) => isImages(column))?.[0]
  const labels = columns.find(([, { classes }]) => classes !== undefined)?.[0]
  const named = columns.map(([name, { dtype, shape }]) => `${name} (${dtype} [${shape.join(', ')}])`).join(', ')
  if (images === undefined)
    throw new UserError(
      `these data have no images, which the networks of this page look at: expected uint8 [1 or 3, height, width], found ${named}`,
    )
  const classes = labels === undefined ? undefined : dataset.train.columns[labels]!.classes
  if (labels === undefined || classes === undefined)
    throw new UserError(`these data have no column of classes; found ${named}`)
  const split = ({ count, columns: own }: Split): Split => {
    const column = own[images]!
    return {
      count,
      columns: { images: column.kind === 'tensor' ? inColour(column, count) : column, labels: own[labels]! },
    }
  }
  const [, height, width] = dataset.train.columns[images]!.shape
  if (typeof height === 'number' && height !== width)
    throw new UserError(`these images are ${width}×${height}; the networks of this page take squares`)
  return {
    source,
    dataset: { ...dataset, train: split(dataset.train), test: split(dataset.test) },
    classes,
    ...{ images: 'images', labels: 'labels' },
    ...(typeof height === 'number' ? { size: height } : {}),
  }
}

/** The design with as many classes as the data have, for images of their size. */
export const fittedTo = (design: Design, { classes, size }: Data): Design => ({
  ...design,
  classes: classes.length,
  imageSize: size ?? design.imageSize,
})

/** In what the design does not fit the data, in a line. */
export function misfitOf({ classes, imageSize }: Design, data: Data): string | undefined {
  if (classes !== data.classes.length)
    return `The design has ${classes} classes, and the data have ${data.classes.length}.`
  if (data.size !== undefined && imageSize !== data.size)
    return `The design takes images of ${imageSize}×${imageSize}, and those of the data are ${data.size}×${data.size}.`
  return undefined
}
