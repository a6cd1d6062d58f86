// Fine-tuning in the page, and what the network of the moment says of a picture.

import { batch, signal } from '@preact/signals'
import { UserError } from '../../core/errors.js'
import { photoAugmentation } from '../../core/model/recipe.js'
import type { InputColumns } from '../../driver/data/bind.js'
import type { FitEvent } from '../../driver/fit/events.js'
import { decodeImages } from '../../web/images.js'
import { type FitRun, fit, openSession, type WebOverrides, type WebProvider } from '../../web/index.js'
import { Curves } from '../train/curves.js'
import { saveFile } from '../ui/files.js'
import { lineOf } from '../ui/lines.js'
import { paced } from '../ui/pace.js'
import { Work } from '../work/work.js'
import { type BroughtData, fittedTo } from './data.js'
import type { Inspection, NetworkFacts } from './inspection.js'
import { type BroughtFile, derivation, usesOwnStep } from './model.js'

export interface RunSettings {
  readonly epochs: number
  readonly batchSize: number
  readonly augment: boolean
  readonly seed: number
  readonly provider: WebProvider
  /** Input → column, where names do not say it. */
  readonly inputs: InputColumns
}

export const firstSettings: RunSettings = {
  inputs: {},
  epochs: 10,
  batchSize: 16,
  augment: true,
  seed: 1,
  provider: 'wasm',
}

export type Phase = 'idle' | 'preparing' | 'running' | 'paused' | 'stopping'
export const phase = signal<Phase>('idle')
export const outcome = signal<string | undefined>(undefined)
export const problem = signal<string | undefined>(undefined)
/** What the curves are of. */
export const title = signal('Fine-tuning')
/** Changes when the curves have. */
export const drawnAt = signal(0)

/** A network that has been trained here, as it is asked about pictures. */
export interface Tuned {
  readonly name: string
  readonly model: Uint8Array
  readonly network: NetworkFacts
  readonly classes: readonly string[]
}
export const tuned = signal<Tuned | undefined>(undefined)
export let curves = new Curves()

/** Another model was brought: what was told of the last run goes, what was tuned stays. */
export function forget(): void {
  curves = new Curves()
  batch(() => {
    problem.value = undefined
    outcome.value = undefined
    drawnAt.value++
  })
}

const work = new Work()
let run: FitRun | undefined
let stopping = new AbortController()
const draw = paced(() => {
  drawnAt.value++
})

function take(event: FitEvent): void {
  curves.take(event)
  draw()
}

/** From the first thing to the last; whatever goes wrong becomes a line. */
export async function perform(name: string, steps: (signal: AbortSignal) => Promise<void>): Promise<void> {
  batch(() => {
    title.value = name
    problem.value = undefined
    outcome.value = undefined
    phase.value = 'preparing'
  })
  curves = new Curves()
  stopping = new AbortController()
  try {
    await steps(stopping.signal)
  } catch (error) {
    problem.value = lineOf(error)
  } finally {
    run = undefined
    phase.value = 'idle'
    drawnAt.value++
  }
}

/** What is trained: the bytes of a model with a training step, and how. */
interface Training {
  readonly model: Uint8Array
  readonly data: BroughtData['dataset']
  readonly config: WebOverrides
  readonly provider: WebProvider
}

/** @returns the trained model; what was reached, where it was stopped */
export async function trained({ model, data, config, provider }: Training): Promise<Uint8Array> {
  phase.value = 'running'
  run = fit({ model, data, config, provider, signal: stopping.signal, onEvent: take })
  const result = await run.result
  const { length } = result.history
  const epochs = `${length} ${length === 1 ? 'epoch' : 'epochs'}`
  outcome.value = `${result.reason === 'interrupted' ? 'Stopped' : 'Finished'} after ${result.step} steps in ${epochs}.`
  return result.model
}

interface Tuning {
  readonly file: BroughtFile
  readonly inspection: Inspection
  readonly data: BroughtData
  readonly settings: RunSettings
}

/** Trains the network that was brought on the data. */
export const tune = ({ file, inspection, data, settings }: Tuning): Promise<void> =>
  perform('Fine-tuning', async (signal) => {
    const { network } = inspection
    const model = usesOwnStep.value
      ? file.bytes
      : await work.ask('derived', { bytes: file.bytes, choices: derivation.value })
    if (!model || !network || signal.aborted) return
    const { epochs, batchSize, augment, seed, provider, inputs } = settings
    const { image } = network
    const dataset = fittedTo(data.dataset, image)
    const hasFiles = Object.values(dataset.train.columns).some(({ kind }) => kind === 'image files')
    const augmentation = hasFiles ? [...photoAugmentation] : true
    const config: WebOverrides = {
      ...{ epochs, seed, inputs },
      // Some networks take so many examples at a time.
      ...(network.batch === undefined ? { batchSize } : {}),
      augment: augment && image ? augmentation : false,
    }
    const result = await trained({ model, data: dataset, config, provider })
    tuned.value = {
      name: file.name.replace(/(\.onnx)?$/i, '-tuned.onnx'),
      model: result,
      network,
      classes: data.classes ?? [],
    }
  })

/** Gives the user what was tuned with its adapters in its weights, a plain model. */
export async function saveMerged({ name, model }: Tuned): Promise<void> {
  problem.value = undefined
  try {
    const bytes = await work.ask('merged', { bytes: model })
    if (bytes) saveFile(name.replace(/\.onnx$/i, '-merged.onnx'), new Uint8Array(bytes))
  } catch (error) {
    problem.value = lineOf(error)
  }
}

export function pause(): void {
  run?.pause()
  phase.value = 'paused'
}

export function unpause(): void {
  run?.resume()
  phase.value = 'running'
}

export function stop(): void {
  stopping.abort()
  work.stop()
  if (run) phase.value = 'stopping'
}

/** What a network takes a picture for: the probability of each class. */
export interface Answer {
  readonly classes: readonly { readonly name: string; readonly probability: number }[]
}

function softmax(row: ArrayLike<number>): number[] {
  const all = Array.from(row)
  const most = Math.max(...all)
  const powers = all.map((value) => Math.exp(value - most))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((power) => power / sum)
}

/** @throws UserError for a file that is no picture, or a network that takes none */
export async function ask({ model, network, classes }: Tuned, name: string, picture: Blob): Promise<Answer> {
  const { image, scores } = network
  if (!image || !scores) throw new UserError('this network does not tell pictures apart')
  const { channels, height, width } = image
  const data = await decodeImages([name], [channels, height, width], undefined, [picture])
  const session = await openSession(model)
  try {
    const count = network.batch ?? 1
    const pixels = new Uint8Array(count * data.length)
    for (let i = 0; i < count; i++) pixels.set(data, i * data.length)
    const outputs = await session.run({
      [image.name]: { dtype: 'uint8', shape: [count, channels, height, width], data: pixels },
    })
    const found = outputs[scores.output]!
    const row = Array.from((found.data as Float32Array).subarray(0, found.shape.at(-1)), Number)
    const probabilities = scores.isSoftmax ? row : softmax(row)
    return {
      classes: probabilities
        .map((probability, i) => ({ name: classes[i] ?? `class ${i}`, probability }))
        .sort((a, b) => b.probability - a.probability),
    }
  } finally {
    session.close()
  }
}
