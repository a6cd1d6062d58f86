// The examples that a network is fine-tuned on: files of the user, pictures of the camera, or drawn patterns.

import { UserError } from '../../core/errors.js'
import { elementsOf } from '../../core/graph/tensor.js'
import { type Column, type Dataset, type Split, shared, type TensorColumn } from '../../driver/data/dataset.js'
import { patternNames, synthesize } from '../../driver/data/synth.js'
import { grouped } from '../../driver/format/table.js'
import { resample } from '../../web/resample.js'
import type { ImageInput } from './inspection.js'

export interface BroughtData {
  readonly dataset: Dataset
  /** The names of the classes, where there is a column of them. */
  readonly classes?: readonly string[]
}

export function broughtFrom(dataset: Dataset): BroughtData {
  const named = Object.values(dataset.train.columns).flatMap((column) => (column.classes ? [column.classes] : []))
  return { dataset, ...(named.length === 1 ? { classes: named[0]! } : {}) }
}

export interface Drawing {
  /** Places among the ten patterns. */
  readonly classes: readonly number[]
  readonly train: number
  readonly test: number
  readonly seed: number
}

/** Images of some of the ten patterns, as many of each, numbered in their order. */
export function drawnOf({ classes, train, test, seed }: Drawing): Dataset {
  if (classes.length < 2) throw new UserError('choose two patterns at least')
  const more = (count: number) => Math.ceil((count * patternNames.length) / classes.length)
  const all = synthesize({ train: more(train), test: more(test), seed })
  const names = classes.map((place) => patternNames[place]!)
  const split = (from: Dataset['train']): Split => {
    const { images, labels } = from.columns as Readonly<Record<string, TensorColumn>>
    const places = Array.from(labels!.data as Uint8Array, (_, i) => i).filter((i) =>
      classes.includes(Number(labels!.data[i])),
    )
    const size = elementsOf(images!.shape)
    const pixels = shared('uint8', places.length * size)
    for (const [i, place] of places.entries())
      pixels.set((images!.data as Uint8Array).subarray(place * size, (place + 1) * size), i * size)
    const own = shared('uint8', places.length)
    own.set(places.map((place) => classes.indexOf(Number(labels!.data[place]))))
    return {
      count: places.length,
      columns: {
        images: { ...images!, data: pixels },
        labels: { ...labels!, data: own, classes: names },
      },
    }
  }
  return { format: all.format, train: split(all.train), test: split(all.test) }
}

/** Bytes of pixels that are made larger or smaller. */
const MOST = 2 ** 30

const isImages = ({ dtype, shape }: Column): boolean =>
  dtype === 'uint8' && shape.length === 3 && (shape[0] === 1 || shape[0] === 3)

/** Images of a column in the size and the channels that a network takes. Files are decoded in that size anyway. */
export function resized(column: TensorColumn, count: number, { channels, height, width }: ImageInput): TensorColumn {
  const [from, oldHeight, oldWidth] = column.shape as [number, number, number]
  if (from === channels && oldHeight === height && oldWidth === width) return column
  const [plane, size] = [oldHeight * oldWidth, channels * height * width]
  if (count * size > MOST)
    throw new UserError(
      `${grouped(count)} images of ${width}×${height} are too much for a page; take fewer, or a network for smaller ones`,
    )
  const data = shared('uint8', count * size)
  const pixels = new Uint8ClampedArray(4 * plane)
  const old = column.data as Uint8Array
  for (let i = 0; i < count; i++) {
    for (let at = 0; at < plane; at++)
      for (let channel = 0; channel < 3; channel++)
        pixels[4 * at + channel] = old[(i * from + (from === 1 ? 0 : channel)) * plane + at]!
    const planes = resample(
      { data: pixels, height: oldHeight, width: oldWidth },
      [oldHeight / height, oldWidth / width],
      {
        ...{ top: 0, left: 0 },
        ...{ height, width },
      },
    )
    data.set(channels === 3 ? planes : planes.subarray(0, size), i * size)
  }
  return { ...column, shape: [channels, height, width], data }
}

/** The data set as a network of images takes it. @throws UserError for one that would be too large */
export function fittedTo(dataset: Dataset, image: ImageInput | undefined): Dataset {
  const name = Object.entries(dataset.train.columns).find(([, column]) => isImages(column))?.[0]
  if (!image || name === undefined) return dataset
  const split = ({ count, columns }: Split): Split => {
    const column = columns[name]!
    return { count, columns: { ...columns, [name]: column.kind === 'tensor' ? resized(column, count, image) : column } }
  }
  return { ...dataset, train: split(dataset.train), test: split(dataset.test) }
}

export function aboutData({ dataset: { train, test, heldOut }, classes }: BroughtData): string {
  const held = heldOut === undefined ? '' : ' (held out)'
  const named =
    classes === undefined
      ? `columns ${Object.keys(train.columns).join(', ')}`
      : `${classes.length} classes: ${classes.slice(0, 12).join(', ')}${classes.length > 12 ? ', …' : ''}`
  return `${grouped(train.count)} examples to train on, ${grouped(test.count)} to test${held}; ${named}.`
}
