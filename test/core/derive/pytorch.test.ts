// Networks that PyTorch's exporters wrote, trained from their files: losses and weights are PyTorch's own, in float64
// (conformance/exports.py; NAME.training.json says how each was trained).
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { select } from '../../../src/core/derive/selection.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { type Numbers, numbers, widen } from '../../../src/core/graph/tensor.js'
import { nameOf, type Parameter } from '../../../src/core/graph/value.js'
import { crossEntropy, meanSquaredError } from '../../../src/core/losses/index.js'
import { type NetworkOptions, readNetwork } from '../../../src/core/onnx/network.js'
import { sgd } from '../../../src/core/optimizers/sgd.js'
import { trainingStep } from '../../../src/core/training/step.js'

const folder = join(import.meta.dirname, '..', '..', 'fixtures', 'networks')
const json = (file: string) => JSON.parse(readFileSync(join(folder, file), 'utf8'))

interface Digest {
  readonly sum: number
  readonly squares: number
}
interface Training {
  readonly inputs: Readonly<Record<string, { shape: number[]; start: number; range?: [number, number] }>>
  readonly loss: 'mse' | 'cross-entropy'
  readonly classAxis?: number
  readonly batchStatistics: boolean
  readonly sgd: { readonly lr: number; readonly momentum: number }
  readonly losses: readonly number[]
  readonly weights: Readonly<
    Record<string, { readonly shape: number[]; readonly initial: Digest; readonly final: Digest }>
  >
}

const generated = (shape: readonly number[], value: (i: number) => number): Float64Array =>
  Float64Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, i) => value(i))
const digest = ({ data }: Pick<Numbers, 'data'>): Digest => ({
  sum: data.reduce((total, value) => total + value, 0),
  squares: data.reduce((total, value) => total + value * value, 0),
})

/** Constants of a module that are floats with dimensions, which a file cannot tell from weights: they stay as they are. */
const constants: Readonly<Record<string, readonly string[]>> = {
  // Ones and zeros of norms without weights.
  'unet_monai.dynamo': ['val_3', 'val_7', 'val_13', 'val_17', 'val_22', 'val_26', 'val_49', 'val_53'],
}

/** The losses of the steps, and the weights before and after them. */
function train(name: string, training: Training, options: NetworkOptions) {
  const shapes = Object.fromEntries(Object.entries(training.inputs).map(([input, { shape }]) => [input, shape]))
  const bytes = readFileSync(join(folder, `${name}.onnx`))
  const read = readNetwork(bytes, { ...options, shapes })
  const network = select(read, { freeze: constants[name] ?? [] })
  const { lr, momentum } = training.sgd
  const step = trainingStep(network, {
    loss: training.loss === 'mse' ? meanSquaredError() : crossEntropy({ axis: training.classAxis! }),
    optimizer: sgd({ momentum }),
    batchNorm: training.batchStatistics ? 'batch' : 'running',
  })
  const feeds = new Map<string, Numbers>()
  for (const value of network.inputs) {
    const { shape, start, range } = training.inputs[nameOf(value)]!
    const wave = (i: number) => Math.sin(0.37 * i + start)
    const drawn = range
      ? (i: number) => range[0] + Math.floor(((range[1] - range[0]) * (wave(i) + 1)) / 2)
      : (i: number) => Math.fround(wave(i))
    feeds.set(nameOf(value), numbers(value.dtype, shape, generated(shape, drawn)))
  }
  for (const { name, dtype, shape, classes } of step.signature.targets) {
    const answer = classes === undefined ? (i: number) => Math.sin(0.53 * i + 2) : (i: number) => (5 * i + 2) % classes
    feeds.set(name, numbers(dtype, shape as number[], generated(shape as number[], answer)))
  }
  feeds.set('learning_rate', numbers('float32', [], [lr]))
  feeds.set('momentum', numbers('float32', [], [momentum]))
  // Its ratio is 0.
  if (step.signature.seeds !== undefined) feeds.set(step.signature.seeds, numbers('float32', [4], [1, 2, 3, 4]))
  const given = new Map<string, Numbers>()
  for (const { origin, shape } of step.graph.parameters as readonly Parameter[]) {
    const { initializer } = origin
    if (initializer.kind === 'given') given.set(origin.name, widen(initializer.tensor))
    else
      feeds.set(
        origin.name,
        numbers(
          'float32',
          shape as number[],
          generated(shape as number[], () => 0),
        ),
      )
  }
  for (const [weight, value] of given) feeds.set(weight, value)
  const losses = training.losses.map(() => {
    const results = evaluate(step.graph, feeds)
    for (const [output, state] of Object.entries(step.signature.updates)) feeds.set(state, results.get(output)!)
    return results.get(step.signature.loss)!.data[0]!
  })
  return { losses, given, feeds }
}

const networks: Readonly<Record<string, NetworkOptions>> = json('networks.json')
const trained = Object.keys(networks)
  .map((name) => ({ name, file: `${name.replace(/\.\w+$/, '')}.training.json` }))
  // Today's exporter makes a Loop over a sequence of an EmbeddingBag, which is refused.
  .filter(({ name, file }) => existsSync(join(folder, file)) && name !== 'embedding_bag.dynamo')

describe.each(trained)('$name', ({ name, file }) => {
  it('has the losses and the weights of PyTorch', () => {
    const training: Training = json(file)
    const { losses, given, feeds } = train(name, training, networks[name]!)
    for (const [i, loss] of losses.entries())
      expect(Math.abs(loss - training.losses[i]!) / training.losses[0]!, `step ${i}: ${loss}`).toBeLessThan(1e-5)
    // Exporters rename and transpose: a weight is known by its numbers.
    const known = Object.values(training.weights)
    let compared = 0
    for (const [weight, before] of given) {
      const { squares, sum } = digest(before)
      const own = known.find(
        ({ initial }) => Math.abs(initial.squares - squares) < 1e-6 * squares && Math.abs(initial.sum - sum) < 1e-6,
      )
      if (!own) continue
      compared++
      const after = digest(feeds.get(weight)!)
      expect(Math.abs(after.squares - own.final.squares) / own.final.squares, weight).toBeLessThan(1e-5)
    }
    expect(compared).toBeGreaterThan(0)
  })
})
