// Sessions in the worker of a page, as those of Node's threads: one for plain models, one for training steps that keep their state
// where they compute.

import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-web'
import { UserError } from '../core/errors.js'
import type { Tensors } from '../core/graph/tensor.js'
import { signatureOf } from '../core/onnx/signature.js'
import type { StepOptions } from '../driver/fit/engine.js'
import type { Session, TrainingSession } from '../driver/runtime/session.js'
import { copyTensor, mapValues } from '../driver/runtime/tensor.js'
import type { WebSettings } from './protocol.js'
import { createSession, fromOrt, runSession, toOrt } from './runtime.js'

type OrtTensors = Readonly<Record<string, OrtTensor>>

const allToOrt = async (settings: WebSettings, tensors: Tensors): Promise<OrtTensors> =>
  Object.fromEntries(
    await Promise.all(
      Object.entries(tensors).map(async ([name, value]) => [name, await toOrt(settings, value)] as const),
    ),
  )

const allFromOrt = async (tensors: OrtTensors): Promise<Tensors> =>
  Object.fromEntries(
    await Promise.all(
      Object.entries(tensors).map(async ([name, value]) => [name, await fromOrt(name, value)] as const),
    ),
  )

const channel = new MessageChannel()
/**
 * Lets the worker take in what the page says. A run of WebAssembly never does, and its promise is kept before any message; a timer
 * would wait for four milliseconds.
 */
const listen = (): Promise<void> =>
  new Promise((resolve) => {
    channel.port1.onmessage = () => resolve()
    channel.port2.postMessage(undefined)
  })

export interface PlainOptions {
  readonly optimize: boolean
  /** On the processor, whatever the provider. */
  readonly onCpu?: boolean
}

/** @throws UserError when the runtime refuses the model */
export async function openPlain(model: Uint8Array, settings: WebSettings, options: PlainOptions): Promise<Session> {
  // The runtime tells no types and shapes before it has run.
  const signature = signatureOf(model)
  let session = await createSession(model, settings, options)
  const run = async (feeds: Tensors) => runSession(session, await allToOrt(settings, feeds))
  return {
    ...signature,
    async run(feeds) {
      const outputs = await allFromOrt(await run(feeds))
      await listen()
      return outputs
    },
    async replace(next) {
      await session.release()
      session = await createSession(next, settings, options)
    },
    async time(feeds, runs) {
      const times: number[] = []
      for (let i = 0; i < runs; i++) {
        const begun = performance.now()
        await run(feeds)
        times.push(performance.now() - begun)
      }
      return times
    },
    close: () => session.release(),
  }
}

/** A training step whose state stays on the GPU, where it computes there. */
class Step implements TrainingSession {
  readonly inputs
  readonly outputs
  readonly #options: StepOptions
  readonly #settings: WebSettings
  readonly #open = new Map<Uint8Array, InferenceSession>()
  #model: Uint8Array
  #state: OrtTensors
  /** One after the other: a run reads what the one before it left. */
  #queue: Promise<unknown> = Promise.resolve()

  private constructor(options: StepOptions, settings: WebSettings, state: OrtTensors) {
    this.#options = options
    this.#settings = settings
    this.#state = state
    this.#model = options.models(options.batch, options.steps)
    const { inputs, outputs } = signatureOf(this.#model)
    this.inputs = inputs
    this.outputs = outputs
  }

  static async open(options: StepOptions, settings: WebSettings): Promise<Step> {
    const step = new Step(options, settings, await allToOrt(settings, mapValues(options.state, copyTensor)))
    await step.#session()
    return step
  }

  step(feeds: Tensors, batch: number, steps = 1): Promise<Tensors> {
    return this.#next(() => this.#run(feeds, batch, steps))
  }

  readState(): Promise<Tensors> {
    return this.#next(async () => mapValues(await allFromOrt(this.#state), copyTensor))
  }

  close(): Promise<void> {
    return this.#next(async () => {
      for (const tensor of Object.values(this.#state)) dispose(tensor)
      for (const session of this.#open.values()) await session.release()
      this.#open.clear()
    })
  }

  #next<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work)
    this.#queue = done.catch(() => {})
    return done
  }

  async #run(feeds: Tensors, batch: number, steps: number): Promise<Tensors> {
    const { carried, models } = this.#options
    this.#model = models(batch, steps)
    const session = await this.#session()
    const fed = await allToOrt(this.#settings, feeds)
    const outputs = await runSession(session, { ...this.#state, ...fed })
    const visible: Record<string, OrtTensor> = {}
    const next: Record<string, OrtTensor> = { ...this.#state }
    for (const [name, tensor] of Object.entries(outputs)) {
      const replaced = carried[name]
      if (replaced === undefined) visible[name] = tensor
      else {
        dispose(next[replaced]!)
        next[replaced] = tensor
      }
    }
    this.#state = next
    const told = await allFromOrt(visible)
    await listen()
    return told
  }

  /** The session of the batch size of the moment; another one is given up, unless it is to be kept. */
  async #session(): Promise<InferenceSession> {
    const { keepModels, optimize, carried } = this.#options
    const open = this.#open.get(this.#model)
    if (open) return open
    if (!keepModels) for (const session of this.#open.values()) await session.release()
    if (!keepModels) this.#open.clear()
    const session = await createSession(this.#model, this.#settings, { optimize, kept: Object.keys(carried) })
    this.#open.set(this.#model, session)
    return session
  }
}

const dispose = (tensor: OrtTensor): void => {
  if (tensor.location === 'gpu-buffer') tensor.dispose()
}

/** The state has to fit the model: a mismatch would otherwise show as an obscure failure of the first step. */
function checkStep({ state, carried }: StepOptions, { inputs, outputs }: Pick<TrainingSession, 'inputs' | 'outputs'>) {
  const stray = Object.keys(state).find((name) => !inputs.some((input) => input.name === name))
  if (stray !== undefined) throw new UserError(`the training step has no input for the state tensor "${stray}"`)
  const missing = Object.keys(carried).find((name) => !outputs.some((output) => output.name === name))
  if (missing !== undefined) throw new UserError(`the training step has no output "${missing}"`)
}

/** @throws UserError when the runtime refuses the step, or the state does not fit it */
export async function openStep(options: StepOptions, settings: WebSettings): Promise<TrainingSession> {
  checkStep(options, signatureOf(options.models(options.batch, options.steps)))
  return Step.open(options, settings)
}
