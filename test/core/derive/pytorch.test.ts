// Networks that PyTorch's exporters wrote, trained from their files: losses and weights are PyTorch's own (conformance/training.py), in
// float64. Today's exporter keeps the names of the weights; TorchScript's folds and renames some.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { isFloat, type Numbers, numbers } from '../../../src/core/graph/tensor.js'
import { crossEntropy, meanSquaredError } from '../../../src/core/losses/index.js'
import { readNetwork } from '../../../src/core/onnx/network.js'
import { sgd } from '../../../src/core/optimizers/sgd.js'
import { trainingStep } from '../../../src/core/training/step.js'

const folder = join(import.meta.dirname, '..', '..', 'fixtures', 'networks')
interface Trained {
  readonly kind: 'classifier' | 'regression'
  readonly losses: readonly number[]
  readonly inputs: Readonly<
    Record<string, { readonly shape: readonly number[]; readonly range?: readonly [number, number] }>
  >
  readonly weights: Readonly<Record<string, readonly [sum: number, squares: number]>>
}
const { rate, momentum, networks } = JSON.parse(readFileSync(join(folder, 'training.json'), 'utf8')) as {
  readonly rate: number
  readonly momentum: number
  readonly networks: Readonly<Record<string, Trained>>
}

const generated = (shape: readonly number[], value: (i: number) => number): Float64Array =>
  Float64Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, i) => value(i))

/** Losses of the steps, and the weights after the last. */
function train(name: string, { kind, inputs, losses }: Trained) {
  const shapes = Object.fromEntries(Object.entries(inputs).map(([input, { shape }]) => [input, shape]))
  const network = readNetwork(readFileSync(join(folder, `${name}.onnx`)), { shapes })
  const loss = kind === 'classifier' ? crossEntropy() : meanSquaredError()
  const step = trainingStep(network, { loss, optimizer: sgd({ momentum }), batchNorm: 'running' })
  const feeds = new Map<string, Numbers>()
  for (const [k, value] of network.inputs.entries()) {
    const { name } = value.origin as { readonly name: string }
    const { shape, range } = inputs[name]!
    const wave = (i: number) => Math.sin(0.37 * i + k)
    const drawn = range ? (i: number) => range[0] + Math.floor(((range[1] - range[0]) * (wave(i) + 1)) / 2) : wave
    feeds.set(name, numbers(value.dtype, shape, generated(shape, drawn)))
  }
  for (const { name, dtype, shape, classes } of step.signature.targets) {
    const answer = isFloat(dtype) ? (i: number) => Math.cos(0.5 * i) : (i: number) => i % classes!
    feeds.set(name, numbers(dtype, shape as number[], generated(shape as number[], answer)))
  }
  feeds.set('learning_rate', numbers('float32', [], [rate]))
  feeds.set('momentum', numbers('float32', [], [momentum]))
  for (const { origin, shape } of step.graph.parameters)
    if (origin.initializer.kind === 'constant')
      feeds.set(
        origin.name,
        numbers(
          'float32',
          shape as number[],
          generated(shape as number[], () => 0),
        ),
      )
  const found = losses.map(() => {
    const results = evaluate(step.graph, feeds)
    for (const [output, state] of Object.entries(step.signature.updates)) feeds.set(state, results.get(output)!)
    return results.get(step.signature.loss)!.data[0]!
  })
  return { found, feeds }
}

describe.each(Object.entries(networks))('%s', (name, trained) => {
  it.each(['dynamo', 'script'])('of the exporter %s has the losses of PyTorch', (exporter) => {
    const { found } = train(`${name}.${exporter}`, trained)
    for (const [i, loss] of found.entries())
      expect(Math.abs(loss - trained.losses[i]!), `step ${i}: ${loss}`).toBeLessThan(1e-5 * trained.losses[0]!)
  })

  it('has the weights of PyTorch', () => {
    // One step fewer: each has moved the weights when its loss is known.
    const { feeds } = train(`${name}.dynamo`, { ...trained, losses: trained.losses.slice(1) })
    const compared = Object.entries(trained.weights).filter(([weight]) => feeds.has(weight))
    expect(compared.length).toBeGreaterThan(0)
    for (const [weight, [sum, squares]] of compared) {
      const { data } = feeds.get(weight)!
      expect(
        data.reduce((total, value) => total + value, 0),
        weight,
      ).toBeCloseTo(sum, 4)
      expect(
        data.reduce((total, value) => total + value * value, 0),
        weight,
      ).toBeCloseTo(squares, 4)
    }
  })
})
