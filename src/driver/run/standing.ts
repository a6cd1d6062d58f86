// Where a run begins, and whether a checkpoint is one of it.

import { UserError } from '../../core/errors.js'
import type { Tensors } from '../../core/graph/tensor.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import type { FitConfig } from '../fit/settings.js'
import type { Checkpoint } from './checkpointFile.js'
import { startOfRun } from './metrics.js'

/** Nothing trained yet: its state is that of the model, and what the step adds to it. */
export const beginning = (model: TrainableModel, config: FitConfig, data: string): Checkpoint => ({
  state: {},
  progress: startOfRun,
  config,
  recipe: model.recipe,
  model: model.fingerprint,
  data,
})

/**
 * Somebody may have copied a checkpoint from another run into this one.
 * @param of fingerprints of the model and the data that the run is of
 * @param where they stand
 */
export function checkBelongs(
  checkpoint: Pick<Checkpoint, 'model' | 'data'>,
  of: Pick<Checkpoint, 'model' | 'data'>,
  folder: string,
  where: string,
): void {
  if (checkpoint.model !== of.model || checkpoint.data !== of.data)
    throw new UserError(`the checkpoint in ${folder} belongs to another run than its ${where}`)
}

/** @throws UserError for a checkpoint whose state is not what the step takes */
export function checkFits(state: Tensors, expected: Tensors, folder: string): void {
  const signature = (tensors: Tensors, name: string) => {
    const tensor = tensors[name]
    return tensor ? `${tensor.dtype} [${tensor.shape.join(', ')}]` : 'nothing'
  }
  for (const name of new Set([...Object.keys(expected), ...Object.keys(state)])) {
    const [is, should] = [signature(state, name), signature(expected, name)]
    if (is !== should) {
      throw new UserError(
        `the checkpoint in ${folder} does not fit the model: it has ${is} for "${name}", not ${should}`,
      )
    }
  }
}
