// Sessions of ONNX Runtime off the main thread: one for plain models, one for training steps that keep their state.

import type { Tensors } from '../../core/graph/tensor.js'
import type { TensorInfo } from '../../core/onnx/signature.js'
import { mostSeconds, RequestThread } from '../threads/thread.js'
import type { CarriedState, OpenReply, Replies, Request, SessionSettings } from './protocol.js'
import { copyTensor, memoryOf } from './tensor.js'

type RuntimeThread = RequestThread<Request, Replies>

/** A model ready to run, in a thread of its own. */
export interface Session {
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
  /**
   * Computes all outputs. Feeds are copied (a batch of images costs a fraction of a millisecond), so the caller's
   * arrays stay usable; results are the caller's own.
   * @throws UserError when the feeds do not fit the model.
   */
  run(feeds: Tensors): Promise<Tensors>
  /**
   * Puts another model with the same outputs in the place of this one.
   * @throws UserError when ONNX Runtime refuses it; then no model is open.
   */
  replace(model: Uint8Array): Promise<void>
  /** What each of so many runs on the same feeds takes, in milliseconds, without any copy between threads. */
  time(feeds: Tensors, runs: number): Promise<readonly number[]>
  /** Frees the session and its thread. */
  close(): Promise<void>
}

/** A training step ready to run, with its state (parameters, momenta, running statistics) kept in the thread. */
export interface TrainingSession {
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
  /**
   * One step: computes, replaces the state, and gives the outputs that are not state (loss, correct count).
   * @param batch how many images the feeds hold
   * @param steps how many steps they are for; 1 unless given
   * @throws UserError when the feeds do not fit the model; the state is then as it was.
   */
  step(feeds: Tensors, batch: number, steps?: number): Promise<Tensors>
  /** A copy of the state after the last step asked for. */
  readState(): Promise<Tensors>
  /** Frees the sessions and their thread. */
  close(): Promise<void>
}

/** The model for a batch size and so many steps a run, 1 unless given; the same array for those that share a model. */
export type StepModels = (batch: number, steps?: number) => Uint8Array

/** What {@link openTrainingSession} opens: models of the step, for which batch size, with which state. */
export interface TrainingSessionOptions extends SessionSettings, CarriedState {
  readonly models: StepModels
  /** The batch size to begin with. */
  readonly batch: number
  /** The steps a run to begin with; 1 when left out. */
  readonly steps?: number
  /**
   * Whether a model stays open while one for another batch size is used (false when left out). It holds memory for two steps;
   * but on a GPU a model takes seconds to open, and the odd batch comes twice an epoch.
   */
  readonly keepModels?: boolean
}

const copyAll = (tensors: Tensors): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, copyTensor(tensor)]))

// Copied once here and then moved: a plain message would copy twice, and would copy the whole buffer behind a view.
function runIn(thread: RuntimeThread, feeds: Tensors): Promise<Tensors> {
  const copies = copyAll(feeds)
  return thread.request({ kind: 'run', feeds: copies }, memoryOf(copies))
}

function replaceIn(thread: RuntimeThread, model: Uint8Array): Promise<void> {
  const copy = new Uint8Array(model)
  return thread.request({ kind: 'switch', model: copy }, [copy.buffer])
}

async function openThread(
  model: Uint8Array,
  { runtime = 'node', threads, provider = 'cpu', device = 0, optimize = true, apart = false }: SessionSettings,
  training?: CarriedState,
): Promise<{ thread: RuntimeThread; info: OpenReply }> {
  const thread = new RequestThread<Request, Replies>(
    new URL('./worker.js', import.meta.url),
    apart ? 'the process that runs the model' : "the runtime's thread",
    apart ? { seconds: mostSeconds() } : undefined,
  )
  try {
    const settings = { runtime, ...(threads === undefined ? {} : { threads }), provider, device, optimize }
    const copy = new Uint8Array(model)
    const state = training && copyAll(training.state)
    const info = await thread.request(
      { kind: 'open', model: copy, settings, ...(training ? { training: { ...training, state: state ?? {} } } : {}) },
      [copy.buffer, ...memoryOf(state ?? {})],
    )
    return { thread, info }
  } catch (error) {
    await thread.end()
    throw error
  }
}

async function close(thread: RuntimeThread): Promise<void> {
  try {
    await thread.request({ kind: 'close' })
  } catch {
    // A thread or process that is gone holds nothing any more.
  } finally {
    await thread.end('the session is closed')
  }
}

/**
 * Opens a model for running.
 * @throws UserError when ONNX Runtime refuses the model or the provider is not there.
 */
export async function openSession(model: Uint8Array, settings: SessionSettings = {}): Promise<Session> {
  const { thread, info } = await openThread(model, settings)
  return {
    ...info,
    run: (feeds) => runIn(thread, feeds),
    replace: (model) => replaceIn(thread, model),
    time: (feeds, runs) => thread.request({ kind: 'time', feeds, runs }),
    close: () => close(thread),
  }
}

/**
 * Opens a training step. `state` holds a value for each state tensor, `carried` says which output replaces which.
 * @throws UserError when ONNX Runtime refuses the model, the state does not fit it, or the provider is not there.
 */
export async function openTrainingSession(options: TrainingSessionOptions): Promise<TrainingSession> {
  const { models, batch: first, steps: begun = 1, state, carried, keepModels = false, ...settings } = options
  let current = models(first, begun)
  const { thread, info } = await openThread(current, settings, { state, carried })
  const keys = new Map([[current, 0]])
  const change = (model: Uint8Array): Promise<void> => {
    if (!keepModels) return replaceIn(thread, model)
    const keepAs = keys.get(current)!
    const kept = keys.get(model)
    if (kept !== undefined) return thread.request({ kind: 'exchange', keepAs, take: { kept } })
    keys.set(model, keys.size)
    const copy = new Uint8Array(model)
    return thread.request({ kind: 'exchange', keepAs, take: { model: copy } }, [copy.buffer])
  }
  return {
    ...info,
    async step(feeds, batch, steps = 1) {
      const model = models(batch, steps)
      if (model === current) return runIn(thread, feeds)
      const changed = change(model)
      current = model
      // Both are asked for at once, so that no other request comes between them.
      const [, outputs] = await Promise.all([changed, runIn(thread, feeds)])
      return outputs
    },
    readState: () => thread.request({ kind: 'readState' }),
    close: () => close(thread),
  }
}
