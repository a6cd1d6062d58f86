// Several training steps in one run: a step, the state and the batches that they take, and what single steps give in float64.
import { evaluate } from '../../src/core/graph/evaluate.js'
import { type Numbers, numbers } from '../../src/core/graph/tensor.js'
import { parametersAsInputs } from '../../src/core/model/write.js'
import { adamw } from '../../src/core/optimizers/index.js'
import { trainingStep } from '../../src/core/training/step.js'
import { disturbed, type TinyName, tinyBatch, tinyNetwork } from './networks.js'
import type { Tensors } from './runtime.js'
import { sgdStep, stateAfter } from './steps.js'

export const STEPS = 3
export const BATCH = 4

/** Tensors of one shape, one after the other along a new first axis. */
export const stacked = (values: readonly Numbers[]): Numbers => {
  const { dtype, shape } = values[0]!
  return numbers(dtype, [values.length, ...shape], Float64Array.from(values.flatMap(({ data }) => [...data])))
}
export const stackedAll = (batches: readonly Tensors[]): Map<string, Numbers> =>
  new Map([...batches[0]!.keys()].map((name) => [name, stacked(batches.map((batch) => batch.get(name)!))]))

const stepOf = (name: TinyName) =>
  name === 'Multi-ResNet r=3'
    ? trainingStep(tinyNetwork(name), { optimizer: adamw(), clipNorm: 1 })
    : sgdStep(tinyNetwork(name), { momentum: 0.9, weightDecay: 1e-4, nesterov: name === 'RDM basic' })

/** A step, the state that it begins with, and batches with a learning rate and gates of their own. */
export function trainingData(name: TinyName) {
  const step = stepOf(name)
  const open = parametersAsInputs(step.graph, step.graph.parameters)
  const batches = (size = BATCH, count = STEPS) =>
    Array.from({ length: count }, (_, i) => tinyBatch(step, 300 + i, { size, rate: 0.1 / (i + 1) }))
  return { step, open, batches, state: disturbed(step.graph, 5) }
}
export type Data = ReturnType<typeof trainingData>

/** The float64 reference of single steps, one after the other. */
export function singleSteps({ step, state: first }: Data, batches: readonly Tensors[]) {
  let state: Tensors = first
  const loss: number[] = []
  const correct: number[] = []
  for (const batch of batches) {
    const outputs = evaluate(step.graph, new Map([...state, ...batch]))
    loss.push(outputs.get('loss')!.data[0]!)
    correct.push(outputs.get('correct')!.data[0]!)
    state = stateAfter(step, outputs)
  }
  return { loss, correct, state }
}

export const runFeeds = ({ state }: Data, batches: readonly Tensors[]): Map<string, Numbers> =>
  new Map([...state, ...stackedAll(batches)])

/** Some momenta have gradients that are nothing but rounding: their floor is a tenth of the largest that there are here. */
export const floorOf = (name: string) => (/\.(momentum|first_moment)$/.test(name) ? 0.05 : 1e-3)
