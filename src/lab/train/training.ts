// The training of this page: what it does, and what the tab shows of it.

import { batch, signal } from '@preact/signals'
import { UserError } from '../../core/errors.js'
import { parseSchedule } from '../../core/training/schedule.js'
import type { Evaluation } from '../../driver/evaluation/modelEvaluation.js'
import type { FitEvent } from '../../driver/fit/events.js'
import { evaluate, type FitRun, fit, type RunStore, type WebOverrides, type WebProvider } from '../../web/index.js'
import { setDesign } from '../address.js'
import { architectureOf, type Design, designFrom, queryOf } from '../design/design.js'
import { type Choices, optionsFor } from '../export/choices.js'
import { lineOf } from '../ui/lines.js'
import { paced } from '../ui/pace.js'
import { Work } from '../work/work.js'
import { Curves } from './curves.js'
import { type Data, drawn } from './data.js'
import { alone, type KeptRun, openKept, readKept, replaceKept } from './kept.js'
import { type Prediction, predict, type Samples, samplesOf } from './predictions.js'
import { compare, type Trial } from './trial.js'

/** What the user says of a run beside design and recipe. */
export interface Settings {
  readonly epochs: number
  readonly batchSize: number
  /** The schedule of the learning rate, as it is written. */
  readonly rate: string
  readonly augment: boolean
  readonly seed: number
  readonly provider: WebProvider | 'fastest'
}

export const firstSettings: Settings = {
  epochs: 5,
  batchSize: 50,
  rate: 'one-cycle:max=0.1',
  augment: true,
  seed: 1,
  provider: 'fastest',
}

export type Phase = 'idle' | 'preparing' | 'trial' | 'running' | 'paused' | 'stopping' | 'judging'

export const phase = signal<Phase>('idle')
/** What went wrong, in a line. */
export const problem = signal<string | undefined>(undefined)
/** How a run ended, in a line. */
export const outcome = signal<string | undefined>(undefined)
/** Changes when the curves have. */
export const drawnAt = signal(0)
export const trials = signal<readonly Trial[]>([])
export const samples = signal<Samples | undefined>(undefined)
export const predictions = signal<readonly Prediction[]>([])
export const evaluation = signal<Evaluation | undefined>(undefined)
/** Where the run that is shown trains. */
export const provider = signal<WebProvider | undefined>(undefined)
export const classNames = signal<readonly string[]>([])
/** What was kept when the page was opened; a run that is over is one, too. */
export const kept = signal<KeptRun | undefined>(undefined)
/** The files of a run that is over. */
export const files = signal<{ readonly model: Uint8Array; readonly checkpoint: Uint8Array } | undefined>(undefined)

export let curves = new Curves()

/** From one look at the samples to the next: after an epoch at least, and within a long one. */
const LOOK = { epoch: 2000, step: 8000 }
/** Milliseconds that the table at the end may take of a run that was stopped. */
const PATIENCE = 10_000
/** Seconds of work that a tab which is closed loses at most. */
const CHECKPOINT_SECONDS = 15

const work = new Work()
let run: FitRun | undefined
let stopping = new AbortController()
let looking: Promise<void> | undefined
let lookedAt = 0

export async function lookForKept(): Promise<void> {
  kept.value = await readKept()
}

/** The run's files are given up. */
export async function discardKept(): Promise<void> {
  await (await openKept()).remove()
  kept.value = undefined
}

/** From the first thing to the last; whatever goes wrong becomes a line. */
async function perform(steps: () => Promise<void>): Promise<void> {
  batch(() => {
    problem.value = undefined
    outcome.value = undefined
    evaluation.value = undefined
    files.value = undefined
    predictions.value = []
    trials.value = []
    phase.value = 'preparing'
  })
  stopping = new AbortController()
  try {
    const done = await alone(async () => {
      await steps()
      return true
    })
    if (!done) throw new UserError('another tab of this page trains: wait for it, or close it')
  } catch (error) {
    problem.value = lineOf(error)
  } finally {
    run = undefined
    phase.value = 'idle'
    drawnAt.value++
  }
}

/** Trains a design from its first weights on. */
export const start = (design: Design, choices: Choices, settings: Settings, data: Data): Promise<void> =>
  perform(async () => {
    curves = new Curves()
    const { epochs, batchSize, rate, augment, seed } = settings
    const config: WebOverrides = { epochs, batchSize, learningRate: parseSchedule(rate), augment, seed }
    const options = optionsFor(design, { ...choices, part: 'all' })
    const model = await work.ask('file', options)
    if (!model) return
    await show(data, design.imageSize)
    const where = await providerFor(settings.provider, { model, data: data.dataset, config })
    if (stopping.signal.aborted) return
    const about = { design: queryOf(design), name: architectureOf(design).name, provider: where, source: data.source }
    const store = await replaceKept({ format: 'rdm-lab run 1', ...about }, model)
    await follow(store, { model, data, where, config, resume: false })
  })

/** Goes on with the run that was kept. @param data its data set, where it is of files */
export const goOn = (run: KeptRun, data?: Data): Promise<void> =>
  perform(async () => {
    const { about, model } = run
    curves = new Curves(run.history)
    const own = about.source.kind === 'drawn' ? drawn(about.source) : data
    if (!own)
      throw new UserError(
        `choose the data set of this run again: ${about.source.kind === 'files' ? about.source.name : ''}`,
      )
    const design = designFrom(about.design)
    setDesign(design)
    await show(own, design.imageSize)
    await follow(await openKept(), { model, data: own, where: about.provider, config: {}, resume: true })
  })

/** Shows some test images of the data. @param size height and width that the network takes */
export async function show(data: Data, size: number): Promise<void> {
  const found = await samplesOf(data, size)
  batch(() => {
    classNames.value = data.classes
    samples.value = found
    predictions.value = []
    evaluation.value = undefined
  })
}

interface Trying {
  readonly model: Uint8Array
  readonly data: Data['dataset']
  readonly config: WebOverrides
}

async function providerFor(wanted: Settings['provider'], options: Trying): Promise<WebProvider> {
  if (wanted !== 'fastest') return wanted
  phase.value = 'trial'
  const [best, ...others] = await compare({ ...options, signal: stopping.signal })
  trials.value = [best!, ...others]
  if (best!.ms === undefined && !stopping.signal.aborted) throw new UserError(best!.problem)
  return best!.provider
}

interface Following {
  readonly model: Uint8Array
  readonly data: Data
  readonly where: WebProvider
  readonly config: WebOverrides
  readonly resume: boolean
}

async function follow(store: RunStore, { model, data, where, config, resume }: Following): Promise<void> {
  batch(() => {
    provider.value = where
    phase.value = 'running'
    kept.value = undefined
  })
  const { dataset } = data
  run = fit({
    ...{ model, data: dataset, provider: where, store, resume, signal: stopping.signal, onEvent: take },
    config: { ...config, checkpointSeconds: CHECKPOINT_SECONDS },
  })
  const result = await run.result
  run = undefined
  files.value = { model: result.model, checkpoint: result.checkpoint }
  const [isDone, epochs] = [result.reason !== 'interrupted', result.history.length]
  outcome.value = isDone
    ? `Finished after ${result.step} steps in ${epochs} ${epochs === 1 ? 'epoch' : 'epochs'}.`
    : `Stopped after ${result.step} steps. It can go on, also after this tab was closed.`
  phase.value = 'judging'
  drawnAt.value++
  await looking
  await ask(async () => result.model)
  // Who stops a run does not want to wait.
  if (isDone || curves.evaluating < PATIENCE)
    evaluation.value = await evaluate({ model: result.model, split: dataset.test, provider: where })
  kept.value = await readKept()
}

const draw = paced(() => {
  drawnAt.value++
})

function take(event: FitEvent): void {
  curves.take(event)
  draw()
  const { event: kind } = event
  if ((kind === 'epoch' || kind === 'step') && performance.now() - lookedAt > LOOK[kind]) look()
}

/** Asks a network about the samples. */
async function ask(model: () => Promise<Uint8Array>): Promise<void> {
  try {
    if (samples.value) predictions.value = await predict(await model(), samples.value)
  } catch {
    // The run was over before it could say: what it says at its end is shown then.
  }
  lookedAt = performance.now()
}

/** Asks the network of the moment, unless it is asked already. */
function look(): void {
  looking ??= ask(async () => run!.snapshot()).finally(() => {
    looking = undefined
  })
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

/** The model with the weights of the moment, or of the end. */
export const modelNow = async (): Promise<Uint8Array | undefined> => files.value?.model ?? (await run?.snapshot())

/** The newest checkpoint. */
export const checkpointNow = async (): Promise<Uint8Array | undefined> =>
  files.value?.checkpoint ?? (await (await openKept()).read('checkpoint.safetensors'))
