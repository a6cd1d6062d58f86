// The evaluation between epochs: the test set by the network with the weights of the moment.

import { UserError } from '../../core/errors.js'
import type { Tensors } from '../../core/graph/tensor.js'
import { widen } from '../../core/graph/tensor.js'
import type { TestAugment } from '../../core/model/recipe.js'
import type { TrainableModel } from '../../core/model/trainable.js'
import type { Binding, Bound } from '../data/bind.js'
import type { Split } from '../data/dataset.js'
import type { Engine } from '../fit/engine.js'
import { EVALUATION_BATCH, evaluateSplit } from './evaluator.js'
import type { Predictor } from './predictor.js'
import { type Score, Scorer } from './scorer.js'

export interface Evaluator {
  /** @throws UserError when the runtime refuses what the evaluation will need */
  check(state: Tensors): Promise<void>
  /** Over the whole test set; undefined when stopped on the way. */
  evaluate(state: Tensors, testAugment: TestAugment, signal?: AbortSignal): Promise<Score | undefined>
  /** The variance of a target over the training set, for R² of its batches. */
  trainingVariance(target: string): number | undefined
  close(): Promise<void>
}

export interface EvaluatorOptions {
  readonly model: TrainableModel
  readonly bindings: readonly Binding[]
  readonly splits: Bound<'training' | 'test'>['splits']
  readonly engine: Pick<Engine, 'openSmall' | 'openBatches'>
  /** What predicts these outputs; with a graph that the runtime rewrites to make it faster, or as it is. */
  predictor(outputs: readonly string[], optimize: boolean): Predictor
}

/** The mean over a target's columns of the variance of each, by the population's formula. */
export function varianceOf(split: Split, bindings: readonly Binding[], target: string): number | undefined {
  const binding = bindings.find(({ input }) => input.name === target)
  const column = binding && split.columns[binding.column]
  if (column?.kind !== 'tensor') return undefined
  const { data } = widen({ dtype: column.dtype, shape: [split.count, ...column.shape], data: column.data } as never)
  const width = data.length / split.count
  let total = 0
  for (let c = 0; c < width; c++) {
    let mean = 0
    for (let i = 0; i < split.count; i++) mean += data[i * width + c]! / split.count
    for (let i = 0; i < split.count; i++) total += (data[i * width + c]! - mean) ** 2 / split.count
  }
  return total / width
}

/** A function of a name, computed once for each. */
function once<T>(compute: (name: string) => T): (name: string) => T {
  const known = new Map<string, T>()
  return (name) => {
    if (!known.has(name)) known.set(name, compute(name))
    return known.get(name)!
  }
}

export async function openEvaluator(options: EvaluatorOptions): Promise<Evaluator> {
  const { model, splits, bindings, engine } = options
  const { signature, scoring, fixedBatch } = model
  if (!scoring)
    throw new UserError(
      "the model's file does not say its loss (rdm.loss), so that nothing can be evaluated: export it again",
    )
  const variance = once((target) => varianceOf(splits.test, bindings, target))
  const scorer = await Scorer.open({ open: engine.openSmall, scoring, measured: signature, varianceOf: variance })
  const inputs = signature.inputs.map(({ name }) => name)
  const targets = new Set([...inputs, ...signature.targets.map(({ name }) => name)])
  const wanted = scorer.inputs.filter((name) => !targets.has(name))
  const predictor = options.predictor(wanted, true)
  const source = await engine.openBatches(splits.test, bindings, { batchSize: fixedBatch ?? EVALUATION_BATCH })
  return {
    async check(state) {
      // Without the rewriting of the graph, which takes longer than the refusal.
      const trial = options.predictor(wanted, false)
      try {
        await trial.use(state)
      } finally {
        await trial.close()
      }
    },
    async evaluate(state, testAugment, signal) {
      await predictor.use(state)
      try {
        return await evaluateSplit({ predictor, scorer, source, inputs, fixedBatch, testAugment, signal })
      } finally {
        await predictor.rest()
      }
    },
    trainingVariance: once((target) => varianceOf(splits.training, bindings, target)),
    async close() {
      await predictor.close()
      await scorer.close()
      await source.close()
    },
  }
}
