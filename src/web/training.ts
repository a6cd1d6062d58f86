// A run in the worker of a page: the training loop of Node's runs, kept by the page.

import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import { UserError } from '../core/errors.js'
import { readTrainableModel } from '../core/model/read.js'
import type { TrainableModel } from '../core/model/trainable.js'
import { type Dataset, withColumns } from '../driver/data/dataset.js'
import { describeData } from '../driver/data/fingerprint.js'
import { sessionPredictor } from '../driver/evaluation/predictor.js'
import { checkData } from '../driver/fit/checks.js'
import type { FitEvent } from '../driver/fit/events.js'
import { checkRate } from '../driver/fit/hyperparameters.js'
import type { RunRecord } from '../driver/fit/record.js'
import { type FitOverrides, newSettings, resumedSettings } from '../driver/fit/settings.js'
import { settle, train } from '../driver/fit/train.js'
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../driver/run/checkpointFile.js'
import { metricsText } from '../driver/run/metrics.js'
import { beginning, checkBelongs } from '../driver/run/standing.js'
import type { TrainingSession } from '../driver/runtime/session.js'
import { webEngine } from './engine.js'
import type { FitReply, FitRequest } from './protocol.js'
import { threadsOf } from './runtime.js'
import { planWebStep } from './target.js'

/** Names of a run's files, as Node's run folders have them. */
export const files = { checkpoint: 'checkpoint.safetensors', model: 'model.onnx', metrics: 'metrics.jsonl' } as const

/** Where the page keeps files. */
export interface Files {
  read(name: string): Promise<Uint8Array | undefined>
  write(name: string, bytes: Uint8Array): Promise<void>
}

/** SHA-256 of all columns, as run folders note it. */
function fingerprintOf(data: Dataset): string {
  const hash = sha256.create()
  describeData(
    data,
    (part) => hash.update(typeof part === 'string' ? utf8ToBytes(part) : part),
    (path) => path.slice(path.lastIndexOf('/') + 1),
  )
  return bytesToHex(hash.digest())
}

/** Settings that say how Node trains. */
const onlyInNode = ['runtime', 'provider', 'device', 'target', 'precision', 'stepsPerRun', 'threads'] as const

/** @throws UserError for a setting that a page does not follow */
function checkOverrides(overrides: FitOverrides): void {
  const stray = onlyInNode.find((name) => overrides[name] !== undefined)
  if (stray !== undefined)
    throw new UserError(
      `config.${stray} is for runs in Node: leave it out; a page takes 'provider' and 'threads' beside 'config'`,
    )
}

/** A run under way, and what the page does to it. */
export class PageRun {
  readonly #stopping = new AbortController()
  #paused: { readonly promise: Promise<void>; readonly end: () => void } | undefined
  #model: TrainableModel | undefined
  #session: TrainingSession | undefined

  stop(): void {
    this.#stopping.abort()
    this.resume()
  }

  pause(): void {
    if (this.#paused || this.#stopping.signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#paused = { promise, end: resolve }
  }

  resume(): void {
    this.#paused?.end()
    this.#paused = undefined
  }

  /** The model with the weights after the step in progress. */
  async snapshot(): Promise<Uint8Array> {
    if (!this.#model || !this.#session)
      throw new UserError('the run has not begun, or is over: there is no model of the moment')
    return this.#model.withState(await this.#session.readState())
  }

  async go(request: FitRequest, stored: Files, onEvent: (event: FitEvent) => void): Promise<FitReply> {
    const { settings, config: overrides, where } = request
    const model = readTrainableModel(request.model, 'the model')
    const data = withColumns(request.data)
    checkOverrides(overrides)
    checkRate(model, overrides)
    const checkpoint = await this.#start(request, model, fingerprintOf(data), stored)
    const { config } = checkpoint
    const bound = checkData(model, data, config.inputs)
    const settled = settle(model, data.train.count, config)
    const provider = settings.provider ?? 'wasm'
    const batch = Math.min(config.batchSize, data.train.count)
    const planned = planWebStep({ model: settled.stepModel, batch, provider })
    const engine = webEngine({ ...settings, threads: config.threads })
    let newest = checkpoint
    const record: RunRecord = {
      where,
      keepPlan: async () => {},
      async saveCheckpoint(saved) {
        newest = saved
        await stored.write(files.checkpoint, encodeCheckpoint(saved))
      },
      writeMetrics: (history) => stored.write(files.metrics, utf8ToBytes(metricsText(history))),
      writeModel: (bytes) => stored.write(files.model, bytes),
      // The page draws what the events tell.
      drawCurves: async () => undefined,
      addTiming: async () => {},
      saved: async () => {},
    }
    try {
      const { state, ...result } = await train({
        ...{ model, ...settled, bound, checkpoint, planned, record, onEvent },
        stepsPerRun: planned.stepsPerRun,
        engine: {
          ...engine,
          openTraining: async (options) => {
            this.#model = model
            this.#session = await engine.openTraining(options)
            return this.#session
          },
        },
        predictor: (_, optimize) =>
          sessionPredictor(model, (bytes) => engine.open(bytes, { optimize }), engine.keepsPredictor),
        signal: this.#stopping.signal,
        pause: () => this.#paused?.promise,
      })
      return { ...result, model: model.withState(state), checkpoint: encodeCheckpoint({ ...newest, state }) }
    } finally {
      this.#session = undefined
    }
  }

  /** Where the run goes on, or its beginning. */
  async #start(
    { settings, config: overrides, resume, where }: FitRequest,
    model: TrainableModel,
    data: string,
    stored: Files,
  ): Promise<Checkpoint> {
    const bytes = await stored.read(files.checkpoint)
    if (!resume) {
      if (bytes) throw new UserError(`${where} holds a run already: resume it, or take another store for a new one`)
      return beginning(
        model,
        newSettings(model.recipe, { ...overrides, target: 'portable' }, threadsOf(settings)),
        data,
      )
    }
    if (!bytes)
      throw new UserError(`${where} holds no run to resume (no ${files.checkpoint}): start one without resume`)
    const checkpoint = decodeCheckpoint(bytes, `${files.checkpoint} of ${where}`)
    checkBelongs(checkpoint, { model: model.fingerprint, data }, where, 'model and data')
    if (checkpoint.config.precision !== 'fp32')
      throw new UserError(`the run in ${where} is in half precision, which goes on in Node alone`)
    const config = resumedSettings(checkpoint.config, overrides, where)
    // As many as before, where there are as many: the bits depend on it.
    const most = Math.min(config.threads, navigator.hardwareConcurrency)
    return { ...checkpoint, config: { ...config, threads: threadsOf({ threads: settings.threads ?? most }) } }
  }
}
