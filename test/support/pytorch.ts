// The tiny network, losses and optimizers of test/fixtures/pytorch/write.py in the DSL, and PyTorch's numbers.
import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { type Graph, graph } from '../../src/core/graph/graph.js'
import { type DType, type Numbers, numbers } from '../../src/core/graph/tensor.js'
import { input, parameter } from '../../src/core/graph/value.js'
import { linear } from '../../src/core/layers/index.js'
import {
  binaryCrossEntropy,
  crossEntropy,
  huber,
  type Loss,
  meanAbsoluteError,
  meanSquaredError,
} from '../../src/core/losses/index.js'
import { matmul, tanh } from '../../src/core/ops/index.js'
import { adam, adamw, muon, type Optimizer, sgd } from '../../src/core/optimizers/index.js'
import { initialize } from '../../src/core/training/initialize.js'
import { type StepOptions, type TrainingStep, trainingStep } from '../../src/core/training/step.js'
import type { Tensors } from './runtime.js'
import { stateAfter } from './steps.js'

type Rows = readonly (readonly number[])[]
type Weights<T> = Readonly<Record<string, T>>

/** Three steps: the losses before them and the weights after each. */
export interface Trained {
  readonly losses: readonly number[]
  readonly weights: Weights<Rows>
}
export interface Averaged extends Trained {
  /** The weights that train. */
  readonly fast: Weights<Rows>
}

interface Inputs {
  readonly rates: readonly number[]
  readonly classWeights: readonly number[]
  readonly inputs: Readonly<Record<'plain' | 'places', Rows>>
  readonly targets: Readonly<Record<'labels' | 'places' | 'answers' | 'numbers', Rows>>
  readonly weights: Readonly<Record<'labels' | 'places' | 'numbers', Weights<readonly number[]>>>
}

export const fixture = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../fixtures/pytorch/${name}.json`, import.meta.url), 'utf8'))

export const given = fixture<Inputs>('inputs')
export const around = fixture<{
  readonly clip: Readonly<Record<string, Readonly<Record<string, Trained>>>>
  readonly groups: Readonly<Record<string, Trained>>
  readonly average: Averaged
  readonly lookahead: Averaged
  readonly schedules: Readonly<Record<string, readonly number[]>>
}>('around')

const [BATCH, FEATURES, HIDDEN, PLACES, CLASSES, NUMBERS] = [4, 2, 3, 2, 3, 2]

/** Linear, tanh, linear. */
export function mlp(outputs: number): Graph {
  const x = input('x', 'float32', ['batch', FEATURES])
  return graph('mlp', [x], { y: linear(tanh(linear(x, 'hidden', HIDDEN)), 'out', outputs) })
}

/** The same for each place, [batch, features, places], without biases. */
function inPlaces(): Graph {
  const x = input('x', 'float32', ['batch', FEATURES, PLACES])
  const weight = (name: string, shape: readonly number[]) => parameter(name, shape, { kind: 'constant', value: 0 })
  const hidden = tanh(matmul(weight('hidden.weight', [HIDDEN, FEATURES]), x))
  return graph('places', [x], { y: matmul(weight('out.weight', [CLASSES, HIDDEN]), hidden) })
}

interface Kind {
  readonly network: () => Graph
  readonly x: 'plain' | 'places'
  readonly target: { readonly name: string; readonly dtype: DType; readonly shape: readonly number[] }
  readonly from: keyof Inputs['targets']
  readonly weights: keyof Inputs['weights']
}
const numbersOf = (from: 'answers' | 'numbers'): Kind => ({
  network: () => mlp(NUMBERS),
  x: 'plain',
  target: { name: 'targets', dtype: 'float32', shape: [BATCH, NUMBERS] },
  from,
  weights: 'numbers',
})
const labels = { name: 'labels', dtype: 'int64' } as const
const classified: Kind = {
  network: () => mlp(CLASSES),
  x: 'plain',
  target: { ...labels, shape: [BATCH] },
  from: 'labels',
  weights: 'labels',
}
const placed: Kind = {
  network: inPlaces,
  x: 'places',
  target: { ...labels, shape: [BATCH, PLACES] },
  from: 'places',
  weights: 'places',
}

const { classWeights } = given
const all = { classWeights, ignoreIndex: 2, labelSmoothing: 0.2 }
export const losses: Readonly<Record<string, { readonly kind: Kind; readonly loss: Loss }>> = {
  'cross-entropy': { kind: classified, loss: crossEntropy() },
  'label-smoothing': { kind: classified, loss: crossEntropy({ labelSmoothing: 0.1 }) },
  'class-weights': { kind: classified, loss: crossEntropy({ classWeights }) },
  'ignore-index': { kind: classified, loss: crossEntropy({ ignoreIndex: 2 }) },
  'all-options': { kind: classified, loss: crossEntropy(all) },
  places: { kind: placed, loss: crossEntropy() },
  'places-all-options': { kind: placed, loss: crossEntropy(all) },
  'binary-cross-entropy': { kind: numbersOf('answers'), loss: binaryCrossEntropy() },
  'positive-weight': { kind: numbersOf('answers'), loss: binaryCrossEntropy({ positiveWeight: 3 }) },
  mse: { kind: numbersOf('numbers'), loss: meanSquaredError() },
  l1: { kind: numbersOf('numbers'), loss: meanAbsoluteError() },
  huber: { kind: numbersOf('numbers'), loss: huber({ delta: 0.75 }) },
}

const others = { beta1: 0.8, beta2: 0.95, epsilon: 1e-3, weightDecay: 0.1 }
export const optimizers: Readonly<Record<string, Optimizer>> = {
  sgd: sgd({ momentum: 0 }),
  momentum: sgd({ momentum: 0.9 }),
  nesterov: sgd({ momentum: 0.8, nesterov: true }),
  'weight-decay': sgd({ momentum: 0.9, weightDecay: 0.1 }),
  adam: adam(),
  'adam-weight-decay': adam(others),
  adamw: adamw(others),
  muon: muon({ momentum: 0.9, weightDecay: 0.05, adamwFactor: 0.15 }),
}

export interface Case {
  readonly loss: string
  readonly optimizer: Optimizer
  readonly options?: StepOptions
}

export const networkOf = (loss: string): Graph => losses[loss]!.kind.network()

export const stepOf = ({ loss, optimizer, options }: Case): TrainingStep =>
  trainingStep(networkOf(loss), { loss: losses[loss]!.loss, optimizer, ...options })

const scalar = (value: number): Numbers => numbers('float32', [], [value])

/** What the three steps are fed with beside the state. */
export function batchesOf({ signature }: Pick<TrainingStep, 'signature'>, loss: string): readonly Tensors[] {
  const { x, from, target } = losses[loss]!.kind
  const xShape = x === 'plain' ? [BATCH, FEATURES] : [BATCH, FEATURES, PLACES]
  return given.rates.map(
    (rate, i) =>
      new Map([
        ...Object.entries(signature.hyperparameters).map(([name, value]) => [name, scalar(value ?? rate)] as const),
        ['x', numbers('float32', xShape, given.inputs[x][i]!)] as const,
        [target.name, numbers(target.dtype, target.shape, given.targets[from][i]!)] as const,
      ]),
  )
}

/** The first weights, and what the step keeps beside them at what it begins with. */
export function firstState({ graph }: Pick<TrainingStep, 'graph'>, loss: string): Tensors {
  const weights = given.weights[losses[loss]!.kind.weights]
  return new Map(
    [...initialize([graph], 1)].map(([name, { dtype, shape, data }]) => {
      const own = weights[name.replace(/\.fast$/, '')]
      return [name, numbers(dtype, shape, own ?? Array.from(data, Number))]
    }),
  )
}

/** All outputs of the steps, each from the state that the one before left. */
export async function trainOn(
  step: Pick<TrainingStep, 'signature'>,
  first: Tensors,
  batches: readonly Tensors[],
  run: (feeds: Tensors) => Tensors | Promise<Tensors>,
): Promise<readonly Tensors[]> {
  let state = first
  const results: Tensors[] = []
  for (const batch of batches) {
    const outputs = await run(new Map([...state, ...batch]))
    results.push(outputs)
    // A frozen weight is in no update.
    state = new Map([...state, ...stateAfter(step, outputs)])
  }
  return results
}

/** Within so much of the largest number of the tensor. */
export function expectNear(actual: ArrayLike<number>, expected: readonly number[], what: string, tolerance: number) {
  expect(actual.length, what).toBe(expected.length)
  const size = Math.max(1e-3, ...expected.map(Math.abs))
  const worst = Math.max(...expected.map((value, i) => Math.abs(actual[i]! - value)))
  expect(worst / size, `${what}: ${Array.from(actual)} instead of ${expected}`).toBeLessThanOrEqual(tolerance)
}

/** The steps are PyTorch's: losses and weights. */
export function expectTrained(outputs: readonly Tensors[], { losses, weights }: Trained, tolerance: number): void {
  expect(outputs).toHaveLength(losses.length)
  outputs.forEach((results, i) => {
    expectNear(results.get('loss')!.data, [losses[i]!], `step ${i + 1}, loss`, tolerance)
    for (const [name, steps] of Object.entries(weights)) {
      // A frozen weight has no next value.
      const next = results.get(`${name}.next`)
      if (next) expectNear(next.data, steps[i]!, `step ${i + 1}, ${name}`, tolerance)
      else expect(steps[i], name).toEqual(steps[0])
    }
  })
}
