// Which gradients of convolutions target `ort-training` makes one, and that they stay the same numbers.
import { expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import { ancestors, type Graph, graph } from '../../../src/core/graph/graph.js'
import { input, type Value } from '../../../src/core/graph/value.js'
import { add, type ConvOptions, conv, convInputGrad, convWeightGrad, mul } from '../../../src/core/ops/index.js'
import { fuseConvGradients } from '../../../src/driver/targets/ort-training/convGradients.js'
import { drawnFor } from '../../support/blocks.js'
import { tinyNetwork } from '../../support/networks.js'
import { expectClose } from '../../support/runtime.js'
import { sgdStep } from '../../support/steps.js'

const gradsIn = ({ nodes }: Graph) => nodes.map(({ operator }) => operator.name).filter((name) => name.includes('Grad'))

/** The gradient operators that are left of what leads to these values. */
function fused(values: readonly Value[]): readonly string[] {
  const used = new Set(ancestors(values).flatMap(({ inputs }) => inputs as readonly Value[]))
  const inputs = [...used].filter(({ origin }) => origin.kind === 'input')
  const source = graph('gradients', inputs, Object.fromEntries(values.map((value, i) => [`out${i}`, value])))
  const result = fuseConvGradients(source)
  const feeds = drawnFor(inputs, 'fused')
  const expected = evaluateValues([...source.outputs.values()], feeds)
  evaluateValues([...result.outputs.values()], feeds).forEach((value, i) => {
    expectClose(value, expected[i]!, `output ${i}`, 1e-12)
  })
  return gradsIn(result).sort()
}

const strided: ConvOptions = { strides: [2, 2], pads: [1, 1, 1, 1] }
const of = (name: string, ...shape: number[]) => input(name, 'float32', shape)
const x = of('x', 2, 3, 8, 8)
const w = of('w', 4, 3, 3, 3)
const dy = of('dy', 2, 4, 4, 4)
const both = (options: ConvOptions, seed = dy, weights = w) =>
  gradients(conv(x, weights, options), [x, weights], { seed })

it('become one where a stride steps over places', () => {
  expect(fused(both(strided))).toEqual(['ConvGrad'])
  expect(fused([...both(strided)].reverse())).toEqual(['ConvGrad'])
  expect(fused(both({ ...strided, group: 3 }, of('dy', 2, 6, 4, 4), of('w', 6, 1, 3, 3)))).toEqual(['ConvGrad'])
})

it('stay two where one is not faster', () => {
  const two = ['ConvInputGrad', 'ConvWeightGrad']
  expect(fused(both({ pads: [1, 1, 1, 1] }, of('dy', 2, 4, 8, 8)))).toEqual(two)
  expect(fused(both({ strides: [2, 2] }, dy, of('w', 4, 3, 1, 1)))).toEqual(two)
  expect(fused([both(strided)[1]!])).toEqual(['ConvWeightGrad'])
})

it('of two convolutions that are added are two, and pairs have one window', () => {
  const [x2, w2] = [of('x2', 2, 3, 8, 8), of('w2', 4, 3, 3, 3)]
  const sum = add(conv(x, w, strided), conv(x2, w2, strided))
  expect(fused(gradients(sum, [x, w, x2, w2], { seed: dy }))).toEqual(['ConvGrad', 'ConvGrad'])
  const elsewhere = convInputGrad(dy, w, { ...strided, pads: [0, 0, 2, 2], output_padding: [1, 1] })
  expect(fused([elsewhere, both(strided)[1]!])).toEqual(['ConvInputGrad', 'ConvWeightGrad'])
})

it('stay two where one needs the other', () => {
  const [dx] = both(strided)
  // As an activation that is computed again once a gradient is there.
  const later = add(x, mul(dx!, 0.5))
  const dw = convWeightGrad(later, dy, { ...strided, kernel_shape: [3, 3] })
  expect(fused([dx!, dw])).toEqual(['ConvInputGrad', 'ConvWeightGrad'])
})

it('stay two in float64, which the kernel does not take', () => {
  const [wide, weights, seed] = [x, w, dy].map(({ shape }, i) => input(`v${i}`, 'float64', shape)) as [
    Value,
    Value,
    Value,
  ]
  const grads = gradients(conv(wide, weights, strided), [wide, weights], { seed })
  expect(fused(grads)).toEqual(['ConvInputGrad', 'ConvWeightGrad'])
})

it('in a network are one where a stage begins with a stride', () => {
  const step = sgdStep(tinyNetwork('RDM basic'), { momentum: 0.9, weightDecay: 0, nesterov: false })
  const counts = (source: Graph) =>
    ['ConvGrad', 'ConvInputGrad', 'ConvWeightGrad'].map((name) => gradsIn(source).filter((own) => own === name).length)
  const [, inputGrads, weightGrads] = counts(step.graph)
  // Two functions in each of the two stages after the first.
  expect(counts(fuseConvGradients(step.graph))).toEqual([4, inputGrads! - 4, weightGrads! - 4])
})
