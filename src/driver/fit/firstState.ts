// The first values of a run that draws its own.

import type { Tensors } from '../../core/graph/tensor.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import { nodeEngine } from '../runtime/engine.js'
import { drawnState } from './drawnState.js'

/**
 * First values of the state, drawn by the initialization in the model's file. What that leaves out keeps the value in
 * the file. The same seed gives the same bytes in the same runtime.
 * @throws UserError when the file has no initialization, one that draws nothing, or one that the runtime refuses
 */
export const drawState = (model: TrainableModel, seed: number): Promise<Tensors> =>
  drawnState(nodeEngine(), model, seed)
