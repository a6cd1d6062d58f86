// rdm-grad as a user runs it: the file it writes, and what it says of bad input.
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { evaluate } from '../../src/core/graph/evaluate.js'
import { numbers } from '../../src/core/graph/tensor.js'
import { nameOf } from '../../src/core/graph/value.js'
import { readNetwork } from '../../src/core/onnx/network.js'
import { openModel } from '../support/runtime.js'
import { run } from './support.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-grad-'))
const network = (name: string) => join(import.meta.dirname, '..', 'fixtures', 'networks', `${name}.onnx`)
const wave = (shape: readonly number[], start = 0) =>
  numbers(
    'float32',
    shape,
    Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(0.37 * i + start)),
  )

test('the gradient of a class by the image, for a batch of any size, as the class changes along it', async () => {
  const out = join(root, 'gradient.onnx')
  expect(
    run('rdm-grad', [network('resnet18.dynamo'), '--of', 'y', '--wrt', 'image,fc.weight', '--out', out]),
  ).toMatchObject({
    code: 0,
    out: '',
    err: '',
  })
  const file = readNetwork(readFileSync(out))
  expect(file.inputs.map(({ shape }) => shape)).toEqual([
    ['batch', 3, 32, 32],
    ['batch', 10],
  ])
  const [image, direction] = [wave([2, 3, 32, 32]), wave([2, 3, 32, 32], 1)]
  // Class 3 of the first image, class 7 of the second.
  const seed = numbers(
    'float32',
    [2, 10],
    Float64Array.from({ length: 20 }, (_, i) => Number(i === 3 || i === 17)),
  )
  const model = await openModel(readFileSync(out))
  const results = await model.run(
    new Map([
      ['image', image],
      ['seed.y', seed],
    ]),
  )
  await model.close()
  const scoreAt = (step: number) => {
    const data = image.data.map((value, i) => value + step * direction.data[i]!)
    const y = evaluate(
      readNetwork(readFileSync(network('resnet18.dynamo'))),
      new Map([['image', { ...image, data }]]),
    ).get('y')!
    return y.data[3]! + y.data[17]!
  }
  const slope = (scoreAt(1e-5) - scoreAt(-1e-5)) / 2e-5
  const gradient = results.get('grad.image')!.data
  expect(gradient.reduce((sum, value, i) => sum + value * direction.data[i]!, 0) / slope).toBeCloseTo(1, 3)
  // Only the rows of the two classes have a part in it.
  const rows = Array.from({ length: 10 }, (_, row) =>
    results
      .get('grad.fc.weight')!
      .data.slice(12 * row, 12 * row + 12)
      .some((value) => value !== 0),
  )
  expect(rows.flatMap((used, row) => (used ? [row] : []))).toEqual([3, 7])
})

test('what it takes and gives is as --forward, --hessian, --sum and --layout say', () => {
  const file = readFileSync(network('mlp.script'))
  const signatureOf = (...options: string[]) => {
    const out = join(root, 'x.onnx')
    expect(run('rdm-grad', ['-', '--out', out, ...options], file)).toMatchObject({ code: 0, err: '' })
    const { inputs, outputs } = readNetwork(readFileSync(out))
    return [inputs.map(nameOf), [...outputs.keys()]]
  }
  expect(signatureOf()).toEqual([
    ['features', 'seed.y'],
    ['y', 'grad.features'],
  ])
  expect(signatureOf('--forward')).toEqual([
    ['features', 'tangent.features'],
    ['y', 'tangent.y'],
  ])
  expect(signatureOf('--hessian', '--sum', '--wrt', '*.bias')[1]).toContain('hvp.0.bias')
  expect(signatureOf('--layout', 'casadi', '--shape', 'features=4,8')).toEqual([
    ['features', 'adj_y'],
    ['adj_features'],
  ])
})

test.each<[string, string[], string]>([
  ['an output', ['--of', 'z'], "the model has no value 'z'; nearest are 'y', "],
  ['a weight', ['--wrt', 'fc.wieght'], "the model has no value 'fc.wieght'; nearest are 'fc.weight', "],
  ['a pattern', ['--wrt', 'none.*'], "no weight is named like 'none.*'; there are image, "],
  ['two ways', ['--forward', '--hessian'], "option '--forward' cannot be used with option '--hessian'"],
  ['no seeds to sum', ['--forward', '--sum'], 'sum takes the place of seeds, which forward mode does not have'],
  ['a layout', ['--layout', 'jax'], 'Allowed choices are named, casadi'],
  [
    'an open batch',
    ['--layout', 'casadi'],
    "'y' is float32[batch, 10]; CasADi needs all its sizes: say those of the inputs",
  ],
  ['a shape', ['--shape', 'image=batch,1,32,32'], "the input 'image' is [batch, 3, 32, 32] in the file"],
  ['an opset', ['--opset', '12'], 'Expected a whole number from 13 to 2'],
])('bad input is one line: %s', (_, options, message) => {
  const { code, out, err } = run('rdm-grad', [network('resnet18.dynamo'), '--out', join(root, 'x'), ...options])
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err).toMatch(/^rdm-grad: [^\n]+\n$/)
  expect(err).toContain(message)
})
