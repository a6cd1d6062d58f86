// A loss that somebody wrote as an ONNX file: trained with, and evaluated by. Beside it the mean squared error of ours, which it is.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { graph } from '../../src/core/graph/graph.js'
import { tensor } from '../../src/core/graph/tensor.js'
import { input } from '../../src/core/graph/value.js'
import { linear } from '../../src/core/layers/index.js'
import { exportGraph } from '../../src/core/model/write.js'
import { abs, mul, reduceMax, reduceMean, sub } from '../../src/core/ops/index.js'
import { randomStream } from '../../src/core/random.js'
import { initialize } from '../../src/core/training/initialize.js'
import { encodeSafetensors } from '../../src/driver/run/safetensors.js'
import { run } from './support.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-own-loss-'))
afterAll(() => rmSync(root, { recursive: true }))
const path = (name: string) => join(root, name)

const x = input('x', 'float32', ['batch', 3])
const network = graph('line', [x], { y: linear(x, 'out', 2) })
/** The mean of (y − t)², and beside it the largest |y − t|. */
function ownLoss() {
  const [y, t] = ['y', 't'].map((name) => input(name, 'float32', ['batch', 2]))
  const difference = sub(y!, t!)
  const loss = reduceMean(mul(difference, difference), undefined, { keepdims: 0 })
  return graph('own', [y!, t!], { loss, worst: reduceMax(abs(difference), undefined, { keepdims: 0 }) })
}

function ok(command: string, ...argv: string[]): string {
  const { code, out, err } = run(command, argv)
  expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' })
  return out
}

it('trains as the same loss by its name, and evaluates with metrics of its own', () => {
  const random = randomStream(1, 'own loss')
  for (const [name, rows] of [
    ['train', 24],
    ['test', 8],
  ] as const) {
    const drawn = Array.from({ length: rows }, () => [0, 0, 0].map(() => random.normal()) as [number, number, number])
    const tensors = {
      x: tensor('float32', [rows, 3], drawn.flat()),
      t: tensor(
        'float32',
        [rows, 2],
        drawn.flatMap(([a, b, c]) => [a + 2 * b, 3 - c]),
      ),
    }
    writeFileSync(path(`${name}.safetensors`), encodeSafetensors({ tensors, metadata: {} }))
  }
  writeFileSync(path('line.onnx'), exportGraph(network, initialize([network], 1)))
  writeFileSync(path('own.onnx'), exportGraph(ownLoss()))

  const trained = (loss: string, ...more: string[]) => {
    const [model, out] = [path(`${loss}.step.onnx`), path(`${loss}.run`)]
    ok('rdm-derive', path('line.onnx'), '--loss', loss === 'mse' ? loss : path(loss), '--out', model)
    const argv = [
      model,
      '--data',
      root,
      '--out',
      out,
      '--epochs',
      '3',
      '--batch',
      '8',
      '--lr',
      '0.05',
      '--json',
      ...more,
    ]
    const events = ok('rdm-fit', ...argv)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    return events.filter(({ event }) => event === 'step').map(({ loss }) => loss as number)
  }
  const [own, usual] = [trained('own.onnx'), trained('mse', '--input', 'targets=t')]
  expect(own.length).toBe(9)
  for (const [i, loss] of own.entries()) expect(loss).toBeCloseTo(usual[i]!, 5)
  expect(own.at(-1)).toBeLessThan(own[0]!)

  const model = join(path('own.onnx.run'), 'model.onnx')
  const told = (...loss: string[]) => JSON.parse(ok('rdm-eval', model, '--data', root, '--json', ...loss))
  const [byFile, byOwn] = [told(), told('--loss', path('own.onnx'))]
  expect(byOwn).toEqual(byFile)
  const byName = told('--loss', 'mse', '--input', 'targets=t')
  expect(byOwn.loss).toBeCloseTo(byName.loss, 5)
  expect(byOwn.worst).toBeGreaterThan(byName.mae)
})

it('is refused in a line where it is none', () => {
  writeFileSync(path('no-loss.onnx'), exportGraph(graph('none', [x], { a: abs(x), b: mul(x, x) })))
  const { code, err } = run('rdm-derive', [
    path('line.onnx'),
    '--loss',
    path('no-loss.onnx'),
    '--out',
    path('never.onnx'),
  ])
  expect({ code, err }).toEqual({ code: 2, err: "rdm-derive: the graph none has no output 'loss'; it has a, b\n" })
})

it('Nesterov momentum is refused of an optimizer that has none', () => {
  const argv = [path('line.onnx'), '--loss', 'mse', '--optimizer', 'adam', '--nesterov', '--out', path('never.onnx')]
  const { code, err } = run('rdm-derive', argv)
  expect({ code, err }).toEqual({
    code: 2,
    err: 'rdm-derive: the optimizer adam has no Nesterov momentum: leave --nesterov out, or take sgd\n',
  })
})
