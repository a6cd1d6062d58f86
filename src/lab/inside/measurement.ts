// Long work on the network that is looked into: what came of it, how far it is, and its end when another network comes.

import { batch, effect, type Signal, signal } from '@preact/signals'
import { UserError } from '../../core/errors.js'
import { type ImageSet, imageSet } from '../../driver/data/dataset.js'
import { type OwnLogits, ownLogitsBy } from '../../study/paths/gatedRun.js'
import type { Watch } from '../../study/paths/measure.js'
import { openSession } from '../../web/index.js'
import { lineOf } from '../ui/lines.js'
import { Work } from '../work/work.js'
import { testImages } from './images.js'
import { data, type Subject, subject } from './looking.js'

/** What a measurement works on. */
export interface Measured extends Required<Watch> {
  readonly subject: Subject
  readonly set: ImageSet
  /** Beside the page; given up when the measurement is. */
  readonly work: Work
}

export interface Measurement<T> {
  readonly found: Signal<T | undefined>
  /** What is done, of all; undefined while nothing is measured. */
  readonly progress: Signal<{ readonly done: number; readonly total: number } | undefined>
  /** What went wrong, in a line. */
  readonly problem: Signal<string | undefined>
  /** @param most so many of the test images */
  readonly measure: (most: number) => Promise<void>
  readonly stop: () => void
}

/** @param of gives undefined when it was stopped */
export function measurement<T>(of: (measured: Measured) => Promise<T | undefined>): Measurement<T> {
  const found = signal<T | undefined>(undefined)
  const progress: Measurement<T>['progress'] = signal(undefined)
  const problem = signal<string | undefined>(undefined)
  const work = new Work()
  let stopping = new AbortController()
  const stop = () => {
    stopping.abort()
    work.stop()
  }
  // Another network, or other data: what was told of the last goes.
  effect(() => {
    void [subject.value, data.value]
    stop()
    batch(() => {
      found.value = undefined
      problem.value = undefined
      progress.value = undefined
    })
  })
  const measure = async (most: number): Promise<void> => {
    stopping = new AbortController()
    const { signal } = stopping
    const looked = subject.value!
    batch(() => {
      problem.value = undefined
      found.value = undefined
      progress.value = { done: 0, total: 1 }
    })
    const onProgress = (done: number, total: number) => {
      if (!signal.aborted) progress.value = { done, total }
    }
    try {
      const outcome = await of({ subject: looked, set: await imagesFor(looked, most), work, signal, onProgress })
      if (!signal.aborted) found.value = outcome
    } catch (error) {
      if (!signal.aborted) problem.value = lineOf(error)
    } finally {
      if (signal === stopping.signal) progress.value = undefined
    }
  }
  return { found, progress, problem, measure, stop }
}

async function imagesFor({ anatomy: { image } }: Subject, most: number): Promise<ImageSet> {
  const { pixels, count, labels, classes } = await testImages(data.value, image, most)
  if (!labels)
    throw new UserError('these data have no classes, so there is no error to measure: choose images with a class each')
  const { height, width } = image
  return imageSet({ images: pixels, labels, count, classes, channels: 3, height, width })
}

/**
 * The session of a graph that is made of the file, beside what the file itself says of some images.
 * @param job makes the graph
 * @returns undefined when the making was stopped
 */
export async function besideOwn<T>(
  job: 'gated' | 'paths',
  { subject: { name, bytes }, set, work }: Measured,
  what: (session: WebSession, own: OwnLogits) => Promise<T | undefined>,
): Promise<T | undefined> {
  const model = await work.ask(job, { bytes })
  if (!model) return undefined
  const own = await using(bytes, (session) => ownLogitsBy(session, name, set))
  return using(model, (session) => what(session, own))
}

type WebSession = Awaited<ReturnType<typeof openSession>>

/** A session for the time of some work. */
async function using<T>(model: Uint8Array, what: (session: WebSession) => Promise<T>): Promise<T> {
  const session = await openSession(model)
  try {
    return await what(session)
  } finally {
    session.close()
  }
}
