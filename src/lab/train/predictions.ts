// What the network of the moment says of some test images.

import type { Tensors } from '../../core/graph/tensor.js'
import type { Split } from '../../driver/data/dataset.js'
import { imagesAt } from '../../driver/data/images.js'
import { decodeImages } from '../../web/images.js'
import { openSession } from '../../web/index.js'
import type { Data } from './data.js'

/** Images of the test set that are shown, with what they are. */
export interface Samples {
  /** Bytes, [count, 3, size, size]. */
  readonly pixels: Uint8Array
  readonly size: number
  readonly labels: readonly number[]
}

/** What was said of an image. */
export interface Prediction {
  readonly label: number
  readonly probability: number
}

/** Shown at most. */
const MOST = 24

/** The first test images of each class, turn by turn. */
function chosen({ count, columns }: Split, classes: number): readonly number[] {
  const column = columns.labels!
  if (column.kind !== 'tensor') return []
  const { data } = column
  const places = Array.from({ length: classes }, (_, label) => {
    const own: number[] = []
    for (let i = 0; i < count && own.length < MOST; i++) if (Number(data[i]) === label) own.push(i)
    return own
  })
  const turns = Array.from({ length: MOST }, (_, turn) => places.flatMap((own) => own[turn] ?? []))
  return turns.flat().slice(0, MOST)
}

/** @param size height and width that the network takes */
export async function samplesOf({ dataset: { test }, classes }: Data, size: number): Promise<Samples> {
  const places = chosen(test, classes.length)
  const [images, labels] = [test.columns.images!, test.columns.labels!]
  const bytes = 3 * size * size
  const pixels = new Uint8Array(places.length * bytes)
  if (images.kind === 'image files') {
    const { files, blobs } = imagesAt(images, places)
    pixels.set(await decodeImages(files, [3, size, size], undefined, blobs))
  } else {
    const data = images.data as Uint8Array
    for (const [i, place] of places.entries()) pixels.set(data.subarray(place * bytes, (place + 1) * bytes), i * bytes)
  }
  return { pixels, size, labels: places.map((place) => (labels.kind === 'tensor' ? Number(labels.data[place]) : 0)) }
}

/** @param model a file whose network takes `images` and gives `probabilities` */
export async function predict(model: Uint8Array, { pixels, size, labels }: Samples): Promise<readonly Prediction[]> {
  // Beside a training, one thread is enough for few images.
  const session = await openSession(model, { threads: 1 })
  try {
    const feeds: Tensors = { images: { dtype: 'uint8', shape: [labels.length, 3, size, size], data: pixels } }
    const { probabilities } = await session.run(feeds)
    const data = probabilities!.data as Float32Array
    const classes = data.length / labels.length
    return labels.map((_, i) => {
      const row = data.subarray(i * classes, (i + 1) * classes)
      const label = row.indexOf(Math.max(...row))
      return { label, probability: row[label]! }
    })
  } finally {
    session.close()
  }
}
