// The network that is looked into, the image that it sees, and what a layer makes of it.

import { batch, signal } from '@preact/signals'
import { UserError } from '../../core/errors.js'
import { elementsOf } from '../../core/graph/tensor.js'
import { synthesize } from '../../driver/data/synth.js'
import { decodeImages } from '../../web/images.js'
import { openSession } from '../../web/index.js'
import { type BroughtData, broughtFrom } from '../bring/data.js'
import type { ImageInput } from '../bring/inspection.js'
import { data as broughtData } from '../bring/model.js'
import type { Tuned } from '../bring/run.js'
import { openKept, readKept } from '../train/kept.js'
import { files as trainedFiles } from '../train/training.js'
import { lineOf } from '../ui/lines.js'
import { Work } from '../work/work.js'
import { ACTIVATION, type Anatomy } from './anatomy.js'
import { type Images, testImages } from './images.js'
import type { Activations } from './tiles.js'

export interface Subject {
  readonly name: string
  readonly bytes: Uint8Array
  readonly anatomy: Anatomy
}

export interface Picture {
  readonly name: string
  /** Bytes, [channels, height, width], as the network takes them. */
  readonly pixels: Uint8Array
}

/** Test images to choose from. */
export const SHOWN = 24

export const subject = signal<Subject | undefined>(undefined)
/** What images are taken from: drawn unless chosen. */
export const data = signal<BroughtData>(broughtFrom(synthesize({ train: 2, test: 500, seed: 1 })))
export const images = signal<Images | undefined>(undefined)
export const picture = signal<Picture | undefined>(undefined)
/** Its place in the anatomy. */
export const layer = signal(0)
export const activations = signal<Activations | undefined>(undefined)
/** The data set that the network was trained on, where it has to be chosen again. */
export const missing = signal<string | undefined>(undefined)
export const isReading = signal(false)
/** What went wrong, in a line: with the network, and with the image. */
export const problem = signal<string | undefined>(undefined)
export const pictureProblem = signal<string | undefined>(undefined)

const work = new Work()

/** The network, the data and the image that count: older ones tell nothing more. */
const newest = { network: 0, data: 0, image: 0 }

/** Takes a network. What was asked for before it, and is not there yet, is given up. */
export async function look(name: string, bytes: () => Promise<Uint8Array>): Promise<void> {
  const own = ++newest.network
  newest.image++
  batch(() => {
    problem.value = undefined
    subject.value = undefined
    activations.value = undefined
    missing.value = undefined
    isReading.value = true
  })
  try {
    const read = await bytes()
    if (own !== newest.network) return
    const anatomy = await work.ask('anatomy', { bytes: read })
    if (!anatomy) return
    batch(() => {
      subject.value = { name, bytes: read, anatomy }
      layer.value = 0
      isReading.value = false
    })
    await takeImages(data.value)
  } catch (error) {
    if (own !== newest.network) return
    batch(() => {
      problem.value = `${name}: ${lineOf(error)}`
      isReading.value = false
    })
  }
}

/** The network that the tab Train has trained in this page, or the one that this browser keeps, with its data where they are drawn. */
export const lookAtTrained = (): Promise<void> =>
  look('model.onnx', async () => {
    const kept = await readKept()
    const bytes = trainedFiles.value?.model ?? (await (await openKept()).read('model.onnx'))
    if (!bytes) throw new UserError('the tab Train has trained nothing yet: train a network there, or drop a file')
    const source = kept?.about.source
    if (source?.kind === 'drawn') data.value = broughtFrom(synthesize(source))
    if (source?.kind === 'files') missing.value = source.name
    return bytes
  })

/** The network that the tab Bring a model has tuned, with the data of that tab. */
export const lookAtTuned = ({ name, model }: Tuned): Promise<void> =>
  look(name, async () => {
    if (broughtData.value) data.value = broughtData.value
    return model
  })

const imageTensor = ({ anatomy: { image, batch: count = 1 } }: Subject, pixels: Uint8Array) => {
  const shape = [count, image.channels, image.height, image.width]
  const repeated = new Uint8Array(elementsOf(shape))
  for (let i = 0; i < count; i++) repeated.set(pixels, i * pixels.length)
  return { dtype: 'uint8', shape, data: repeated } as const
}

/** Takes images to choose from, and shows the first of them. */
export async function takeImages(next: BroughtData): Promise<void> {
  const own = ++newest.data
  data.value = next
  pictureProblem.value = undefined
  if (!subject.value) return
  try {
    const found = await testImages(next, subject.value.anatomy.image, SHOWN)
    if (own !== newest.data) return
    images.value = found
    await see(pictureOf(found, 0, subject.value.anatomy.image))
  } catch (error) {
    if (own !== newest.data) return
    batch(() => {
      images.value = undefined
      pictureProblem.value = lineOf(error)
    })
  }
}

export const nameOf = ({ labels, classes }: Images, place: number): string => {
  const label = labels?.[place]
  return `test image ${place + 1}${label === undefined ? '' : `, ${classes[label] ?? label}`}`
}

export function pictureOf(from: Images, place: number, { channels, height, width }: ImageInput): Picture {
  const size = channels * height * width
  return { name: nameOf(from, place), pixels: from.pixels.subarray(place * size, (place + 1) * size) }
}

/** Takes a file of the user. */
export async function takePicture(name: string, content: Blob): Promise<void> {
  const { channels, height, width } = subject.value!.anatomy.image
  try {
    const pixels = await decodeImages([name], [channels, height, width], undefined, [content])
    await see({ name, pixels })
  } catch (error) {
    pictureProblem.value = lineOf(error)
  }
}

/** Shows what a layer makes of an image. */
export async function see(seen: Picture, place = layer.value): Promise<void> {
  const looked = subject.value!
  const own = ++newest.image
  batch(() => {
    picture.value = seen
    layer.value = place
    activations.value = undefined
    pictureProblem.value = undefined
  })
  const chosen = looked.anatomy.layers[place]
  if (!chosen) return
  try {
    const found = await activationsOf(looked, seen, place)
    if (own === newest.image && found) activations.value = { data: found, shape: chosen.shape }
  } catch (error) {
    if (own === newest.image) pictureProblem.value = lineOf(error)
  }
}

/** Undefined where another look came before the answer. */
async function activationsOf(looked: Subject, { pixels }: Picture, place: number): Promise<Float32Array | undefined> {
  const model = await work.ask('revealing', { bytes: looked.bytes, layer: place })
  if (!model) return undefined
  // One image needs no more threads, and a training beside it may need them.
  const session = await openSession(model, { threads: 1 })
  try {
    const { [ACTIVATION]: found } = await session.run({ [looked.anatomy.image.name]: imageTensor(looked, pixels) })
    return Float32Array.from(found!.data, Number).subarray(0, elementsOf(looked.anatomy.layers[place]!.shape))
  } finally {
    session.close()
  }
}
