// Models in a page without training: what they predict, how good they are, and fresh weights for them.

import type { Tensors } from '../core/graph/tensor.js'
import type { TestAugment } from '../core/model/recipe.js'
import type { TensorInfo } from '../core/onnx/signature.js'
import type { InputColumns } from '../driver/data/bind.js'
import type { Split } from '../driver/data/dataset.js'
import type { Evaluation } from '../driver/evaluation/modelEvaluation.js'
import { copyTensor, mapValues, memoryOf } from '../driver/runtime/tensor.js'
import { Client } from './client.js'
import type { WebSettings } from './protocol.js'

/** A model ready to run, in a worker of its own. */
export interface WebSession {
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
  /**
   * Computes all outputs, by name. Feeds are copied; results are the caller's own.
   * @throws UserError when the feeds do not fit the model
   */
  run(feeds: Tensors): Promise<Tensors>
  /** Frees the session and its worker. */
  close(): void
}

/**
 * Opens any ONNX model for running.
 * @throws UserError when ONNX Runtime refuses the model, or the browser lacks the provider
 */
export async function openSession(model: Uint8Array, settings: WebSettings = {}): Promise<WebSession> {
  const client = new Client(settings)
  try {
    const { inputs, outputs } = await client.request({ kind: 'open', model, settings })
    return {
      inputs,
      outputs,
      run(feeds) {
        // A plain message would copy the whole buffer behind a view.
        const copies = mapValues(feeds, copyTensor)
        return client.request({ kind: 'run', feeds: copies }, memoryOf(copies))
      },
      close: () => client.close(),
    }
  } catch (error) {
    client.close()
    throw error
  }
}

/** What `evaluate` scores, and on which examples. */
export interface EvaluateOptions extends WebSettings {
  /** A model file of ours, which says its loss. */
  readonly model: Uint8Array
  readonly split: Split
  /** Input → column, where they are not called alike. */
  readonly inputs?: InputColumns | undefined
  /** `none` unless given. */
  readonly testAugment?: TestAugment | undefined
}

/**
 * Loss, metrics and, of a classifier, the confusion matrix over a whole split.
 * @throws UserError when model and data do not fit, or a prediction is not finite
 */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  const { model, split, inputs, testAugment, provider, threads, runtime } = options
  const client = new Client({ provider })
  try {
    const { count, columns } = split
    const settings = { provider, threads, runtime }
    // Undefined only where it is stopped, which nobody does here.
    return (await client.request({
      kind: 'evaluate',
      model,
      split: { count, columns },
      inputs,
      testAugment,
      settings,
    }))!
  } finally {
    client.close()
  }
}

/**
 * Fresh first values of a model's state, drawn by the initialization in its file. `readTrainableModel(model).withState(…)` of
 * `rdm-onnx/core` writes them into it.
 * @throws UserError when the file has no initialization
 */
export async function drawState(model: Uint8Array, seed: number, settings: WebSettings = {}): Promise<Tensors> {
  const client = new Client(settings)
  try {
    return await client.request({ kind: 'drawState', model, seed, settings })
  } finally {
    client.close()
  }
}
