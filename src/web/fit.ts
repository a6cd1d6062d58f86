// Training, as a page sees it.

import { type Dataset, type ImageSet, type Split, withColumns } from '../driver/data/dataset.js'
import type { FitEvent } from '../driver/fit/events.js'
import { Client } from './client.js'
import type { FitReply, WebOverrides, WebSettings } from './protocol.js'
import { memoryStore, type RunStore } from './store.js'

/** What `fit` trains in a page, on what, and where its checkpoints are kept. */
export interface FitOptions extends WebSettings {
  /** A model with a training step: the bytes of a file that `rdm-export`, `rdm-derive` or `rdm-onnx/core` writes. */
  readonly model: Uint8Array
  readonly data:
    | Dataset
    | { readonly train: Split | Omit<ImageSet, 'columns'>; readonly test: Split | Omit<ImageSet, 'columns'> }
  /** What to do otherwise than the model's recipe and the defaults say. */
  readonly config?: WebOverrides
  /**
   * Where checkpoints, metrics and the trained model are kept: `await openStore('a name')` for files that last. In memory when
   * left out.
   */
  readonly store?: RunStore
  /**
   * Goes on with the run in the store, from its checkpoint.safetensors, which may have come from Node; its configuration is kept,
   * and `config` must agree with it.
   */
  readonly resume?: boolean
  /** Stops the run after the step in progress, with a checkpoint. */
  readonly signal?: AbortSignal
  /** Is told each event as it comes: start, steps, epochs, notices, the end. */
  readonly onEvent?: (event: FitEvent) => void
}

/**
 * How a run ended: `reason`, `step`, `config` and the `history` of complete epochs as in Node; `model`, the file with the trained
 * weights; and `checkpoint`, the bytes of a checkpoint.safetensors that `rdm-fit --resume` takes.
 */
export type FitResult = FitReply

/** A run under way. */
export interface FitRun {
  /**
   * Settles when the run is done or stopped.
   * @throws UserError on bad input: model and data that do not fit, a store that holds another run, a loss that is not finite,
   *   storage that is full. The last good checkpoint is then still there.
   */
  readonly result: Promise<FitResult>
  /** Waits after the step in progress, with a checkpoint, until it is resumed. */
  pause(): void
  /** Goes on after a pause. */
  resume(): void
  /** Stops the run after the step in progress, with a checkpoint. */
  stop(): void
  /**
   * The model file with the weights after the step in progress, to predict with while the run goes on.
   * @throws UserError before the first step and after the last one
   */
  snapshot(): Promise<Uint8Array>
}

/**
 * Trains a model in a worker of this page. Every draw is a function of the seed and the position, so a run that was stopped or
 * closed at any moment and is resumed ends as the uninterrupted one would, on WebAssembly bit for bit.
 */
export function fit(options: FitOptions): FitRun {
  const { model, data, config = {}, store = memoryStore(), resume = false, signal, onEvent } = options
  const { provider, threads, runtime } = options
  const client = new Client({ provider, store, ...(onEvent ? { onEvent } : {}) })
  const tell = (kind: 'pause' | 'resume' | 'stop') => void client.request({ kind }).catch(() => {})
  const stop = () => tell('stop')
  const { train, test } = withColumns(data)
  const go = async (): Promise<FitResult> => {
    try {
      const unlock = await store.lock()
      try {
        return await client.request({
          kind: 'fit',
          model,
          data: { train: plain(train), test: plain(test) },
          settings: { provider, threads, runtime },
          ...{ config, resume, where: store.name },
        })
      } finally {
        unlock()
      }
    } finally {
      signal?.removeEventListener('abort', stop)
      client.close('the run is over')
    }
  }
  const result = go()
  if (signal?.aborted) stop()
  else signal?.addEventListener('abort', stop)
  return {
    result,
    pause: () => tell('pause'),
    resume: () => tell('resume'),
    stop,
    snapshot: () => client.request({ kind: 'snapshot' }),
  }
}

/** Without what a set of images has twice: a message would copy it twice. */
const plain = ({ count, columns }: Split): Split => ({ count, columns })
