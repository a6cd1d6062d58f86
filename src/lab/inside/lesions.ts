// What the error of a residual network is without each of its residual functions: what `rdm-paths lesion` measures, in the page.

import { batch, effect, signal } from '@preact/signals'
import { type Architecture, totalBlocks } from '../../../graphs/residual.js'
import { UserError } from '../../core/errors.js'
import { type ImageSet, imageSet } from '../../driver/data/dataset.js'
import { classifierBy } from '../../driver/evaluation/classifier.js'
import { gatedRun, guesses, ownLogitsBy } from '../../study/paths/gatedRun.js'
import { countWrong, lesion } from '../../study/paths/lesion.js'
import { blockNames, checkSame } from '../../study/paths/residualModel.js'
import { openSession } from '../../web/index.js'
import { Work } from '../work/work.js'
import { testImages } from './images.js'
import { data, lineOf, type Subject, subject } from './looking.js'

export interface Lesion {
  readonly name: string
  /** A digit for each ReLU of the function, 0 where it was dropped. */
  readonly mask: string
  /** Share of the images that are taken for another class. */
  readonly error: number
}

export interface Lesions {
  readonly images: number
  /** Of the whole network. */
  readonly error: number
  readonly alone: readonly Lesion[]
}

export const lesions = signal<Lesions | undefined>(undefined)
/** Lesions that are measured, of all. */
export const progress = signal<{ readonly done: number; readonly total: number } | undefined>(undefined)
export const problem = signal<string | undefined>(undefined)

const work = new Work()
let stopping = new AbortController()

export function stop(): void {
  stopping.abort()
  work.stop()
}

// Another network, or other data: what was told of the last goes.
effect(() => {
  void [subject.value, data.value]
  stop()
  batch(() => {
    lesions.value = undefined
    problem.value = undefined
    progress.value = undefined
  })
})

/** Measures every function alone. @param most so many of the test images */
export async function measure(most: number): Promise<void> {
  stopping = new AbortController()
  const { signal } = stopping
  const looked = subject.value!
  batch(() => {
    problem.value = undefined
    lesions.value = undefined
    progress.value = { done: 0, total: 1 }
  })
  try {
    const found = await measured(looked, looked.anatomy.architecture!, await imagesFor(looked, most), signal)
    if (!signal.aborted) lesions.value = found
  } catch (error) {
    if (!signal.aborted) problem.value = lineOf(error)
  } finally {
    if (signal === stopping.signal) progress.value = undefined
  }
}

async function imagesFor({ anatomy: { image } }: Subject, most: number): Promise<ImageSet> {
  const { pixels, count, labels, classes } = await testImages(data.value, image, most)
  if (!labels) throw new UserError('these data have no classes, so nobody knows what is wrong')
  const { height, width } = image
  return imageSet({ images: pixels, labels, count, classes, channels: 3, height, width })
}

/** Undefined when it was stopped. */
async function measured(
  { name, bytes }: Subject,
  architecture: Architecture,
  set: ImageSet,
  signal: AbortSignal,
): Promise<Lesions | undefined> {
  const model = await work.ask('gated', { bytes })
  if (!model) return undefined
  const own = await using(bytes, (session) => ownLogitsBy(session, name, set))
  return using(model, async (session) => {
    const r = architecture.functions.length
    const functions = totalBlocks(architecture) * r
    const without = (removed: readonly number[]) => gatedRun(session, functions, removed)
    const whole = await classifierBy(without([]), own.names, own.images).logits(0, own.images.count)
    checkSame({ source: name, architecture }, own.logits, whole)
    const outcome = await lesion({
      ...{ functions, counts: [], samples: 0, seed: 0, labels: set.labels, signal },
      classify: (removed) => guesses(without(removed), own.names, set, signal),
      onProgress: (done, total) => {
        if (!signal.aborted) progress.value = { done, total }
      },
    })
    if (!outcome) return undefined
    const blocks = blockNames(architecture)
    return {
      images: set.count,
      error: outcome.wrong / set.count,
      alone: outcome.alone.map((wrong, i) => ({
        name: `${blocks[Math.floor(i / r)]}${r > 1 ? ` f${(i % r) + 1}` : ''}`,
        mask: architecture.functions[i % r]!,
        error: countWrong(wrong) / set.count,
      })),
    }
  })
}

type WebSession = Awaited<ReturnType<typeof openSession>>

async function using<T>(model: Uint8Array, what: (session: WebSession) => Promise<T>): Promise<T> {
  const session = await openSession(model)
  try {
    return await what(session)
  } finally {
    session.close()
  }
}
