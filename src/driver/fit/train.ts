// One process's part of a run, by whatever it computes with and wherever it is kept.

import type { Tensors } from '../../core/graph/tensor.js'
import { accumulating } from '../../core/model/accumulating.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import type { Bound } from '../data/bind.js'
import { transformsOf } from '../data/transforms.js'
import { type EvaluatorOptions, openEvaluator } from '../evaluation/splitEvaluator.js'
import type { Checkpoint } from '../run/checkpointFile.js'
import { checkFits } from '../run/standing.js'
import type { TrainingSession } from '../runtime/session.js'
import type { PlannedStep } from '../targets/target.js'
import { checkBatches } from './checks.js'
import type { Engine } from './engine.js'
import { Feeds } from './feeds.js'
import { type Hyperparameters, hyperparametersOf } from './hyperparameters.js'
import type { RunRecord } from './record.js'
import { type FitResult, Run, type RunControls } from './run.js'
import type { FitConfig } from './settings.js'

/** What a run's settings make of a model. */
export interface Settled {
  /** The model whose step is taken: with gradients that are accumulated, where they are. */
  readonly stepModel: TrainableModel
  readonly hyperparameters: Hyperparameters
}

/**
 * @param count examples in the training set
 * @throws UserError for batches that the step cannot take, and for hyperparameters that it does not have
 */
export function settle(model: TrainableModel, count: number, config: FitConfig): Settled {
  checkBatches(model, count, config)
  const stepModel = config.accumulate === 1 ? model : accumulating(model)
  return { stepModel, hyperparameters: hyperparametersOf(stepModel.signature, config) }
}

export interface TrainOptions extends Settled, RunControls, Pick<EvaluatorOptions, 'predictor'> {
  readonly model: TrainableModel
  readonly bound: Bound<'training' | 'test'>
  /** Where the run goes on; with no state, where it begins. */
  readonly checkpoint: Checkpoint
  readonly planned: PlannedStep
  readonly engine: Engine
  readonly record: RunRecord
  /** Steps that the model takes in one run, in a loop; undefined without a loop. */
  readonly stepsPerRun?: number | undefined
}

/**
 * Trains from a checkpoint on, until the run is done or stopped. Every draw is a function of the seed and the position.
 * @throws UserError for a checkpoint that does not fit, what the runtime refuses, and a loss that is not finite
 */
export async function train(options: TrainOptions): Promise<FitResult> {
  const { model, stepModel, bound, planned, hyperparameters, engine, record, stepsPerRun, predictor } = options
  const { config } = options.checkpoint
  const { bindings, splits } = bound
  const expected = { ...stepModel.state, ...planned.added }
  const begun = Object.keys(options.checkpoint.state).length > 0
  const state = begun ? options.checkpoint.state : expected
  if (begun) checkFits(state, expected, record.where)
  const open: { close(): Promise<void> }[] = []
  try {
    await record.keepPlan(planned.plan)
    const { batchSize, dropLast, seed, augment, accumulate } = config
    const source = await engine.openBatches(splits.training, bindings, {
      ...{ batchSize, dropLast, seed },
      transforms: transformsOf(augment),
    })
    open.push(source)
    const evaluator = await openEvaluator({ model, splits, bindings, engine, predictor })
    open.push(evaluator)
    // What the runtime refuses after an epoch it refuses before the first step.
    await evaluator.check(state)
    const session = await openStep(engine, planned, state, source.sizeOf(0))
    open.push(session)
    const totalSteps = Math.ceil(config.epochs * source.stepsPerEpoch)
    const feeds = new Feeds({
      ...{ signature: planned.signature, source, hyperparameters, seed, totalSteps, accumulate, stepsPerRun },
      allOrOne: planned.allOrOne,
    })
    const { signal, onEvent, pause } = options
    const parts = { model, planned, session, evaluator, source, feeds, totalSteps, record, signal, onEvent, pause }
    return await new Run({ ...parts, checkpoint: { ...options.checkpoint, state } }).go()
  } finally {
    for (const each of open.reverse()) await each.close()
  }
}

/** Opens a planned step on a state, which comes and goes by the names of the signature however the models have it. */
export async function openStep(
  engine: Pick<Engine, 'openTraining'>,
  { models, signature, stepsPerRun: steps = 1, held, keepModels = false, optimize }: PlannedStep,
  state: Tensors,
  batch: number,
): Promise<TrainingSession> {
  const options = { models, batch, steps, keepModels, optimize }
  if (!held) return engine.openTraining({ ...options, state, carried: signature.updates })
  const session = await engine.openTraining({ ...options, state: held.hold(state), carried: held.updates })
  return {
    inputs: session.inputs,
    outputs: session.outputs,
    step: (feeds, examples, count) => session.step(feeds, examples, count),
    readState: async () => held.release(await session.readState()),
    close: () => session.close(),
  }
}
