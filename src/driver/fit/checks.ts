// Whether a model, data and settings fit each other: said before anything is computed.

import { UserError } from '../../core/errors.js'
import { isKnown, type Shape } from '../../core/graph/shape.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import { BatchNormTraining } from '../../core/ops/index.js'
import { Epochs } from '../data/batches.js'
import { type Bound, bindColumns } from '../data/bind.js'
import type { Dataset } from '../data/dataset.js'
import type { FitConfig } from './settings.js'

/**
 * Finds what feeds the step, and checks all of it.
 * @throws UserError when model and data do not fit
 */
export function checkData(
  model: TrainableModel,
  { train, test }: Dataset,
  inputs?: FitConfig['inputs'],
): Bound<'training' | 'test'> {
  const bound = bindColumns(model.signature, { training: train, test }, inputs)
  for (const { name, classes } of model.signature.targets) {
    const column = bound.splits.training.columns[name]
    const found = column?.kind === 'tensor' ? column.classes : undefined
    if (classes === undefined || !model.classes || !found || model.classes.join('\n') === found.join('\n')) continue
    throw new UserError(
      `the model's classes are ${model.classes.join(', ')}, in this order, and those of the data ${found.join(', ')}; derive a model with --data`,
    )
  }
  return bound
}

/** Whether a batch norm sees one number a channel of each example, so that a batch of one has no variance. */
const seesOne = (shape: Shape): boolean => shape.slice(2).every((dim) => isKnown(dim) && dim === 1)

/** @throws UserError for batches that the step cannot take */
export function checkBatches(model: TrainableModel, count: number, config: FitConfig): void {
  const { batchSize, dropLast } = config
  const { fixedBatch } = model
  const last = new Epochs(count, { batchSize, dropLast })
  const smallest = last.sizeOf(last.stepsPerEpoch - 1)
  if (fixedBatch !== undefined) {
    if (batchSize !== fixedBatch)
      throw new UserError(
        `the training step takes ${fixedBatch} examples at a time, not ${batchSize}: give --batch ${fixedBatch}`,
      )
    if (smallest !== fixedBatch)
      throw new UserError(
        `the training step takes ${fixedBatch} examples at a time, and the last batch of an epoch has ${smallest}: add --drop-last`,
      )
  }
  if (smallest > 1) return
  const norm = model
    .graph()
    .nodes.find(({ operator, inputs: [x] }) => operator === BatchNormTraining && seesOne(x!.shape))
  if (norm)
    throw new UserError(
      `the last batch of an epoch has one example, of which the batch norm ${norm.scope} has no variance: choose another --batch, or add --drop-last`,
    )
}
