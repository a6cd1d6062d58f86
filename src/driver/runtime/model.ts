// A model in a runtime, whichever it is, as the worker thread runs it.

import type { Tensor, Tensors } from '../../core/graph/tensor.js'
import type { TensorInfo } from '../../core/onnx/signature.js'
import type { SessionSettings } from './protocol.js'

export interface LoadedModel {
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
  /**
   * Computes the outputs that `fetches` names, each with the tensor that it may be written to, or null. What comes back is
   * that tensor or a new one.
   * @throws UserError when the feeds do not fit
   */
  run(feeds: Tensors, fetches: Readonly<Record<string, Tensor | null>>): Promise<Tensors>
  release(): Promise<void>
}

/** @throws UserError when the runtime is not there or refuses the model */
export type Load = (model: Uint8Array, settings: SessionSettings) => Promise<LoadedModel>
