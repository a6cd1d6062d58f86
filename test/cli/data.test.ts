// The commands with a table: columns as inputs, a part that is held out, and the same part when a run goes on.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { columnStatistics, exportModel, graph, input, linear, readDataset, standardize } from 'rdm-onnx'
import { expect, test } from 'vitest'
import { randomStream } from '../../src/core/random.js'
import { temporaryFolder } from '../driver/data/support.js'
import { run } from './support.js'

/** Flowers of two kinds that a straight line parts, and a model for them. */
async function flowers() {
  const dir = temporaryFolder()
  const random = randomStream(1, 'flowers')
  const lines = Array.from({ length: 120 }, (_, i) => {
    const kind = i % 2
    return `${(5 + kind + 0.3 * random.normal()).toFixed(2)},${(3 - kind + 0.3 * random.normal()).toFixed(2)},${kind ? 'lily' : 'aster'}`
  })
  const data = join(dir, 'flowers.csv')
  writeFileSync(data, ['length,width,kind', ...lines].join('\n'))
  const x = input('x', 'float32', ['batch', 2])
  const { train } = await readDataset(data)
  const logits = linear(standardize(x, columnStatistics(train, ['length', 'width'])), 'out', 2)
  const model = join(dir, 'model.onnx')
  const recipe = { epochs: 3, batchSize: 16, learningRate: [[0, 0.3]] as [number, number][], augment: false }
  writeFileSync(model, exportModel(graph('flowers', [x], { logits }), { recipe, seed: 1 }))
  return { dir, data, model, out: join(dir, 'run') }
}

test('rdm-fit and rdm-eval on a table', async () => {
  const { data, model, out } = await flowers()
  const small = ['--threads', '1', '--target', 'portable']
  const begun = run('rdm-fit', [
    model,
    '--data',
    data,
    '--hold-out',
    '0.4',
    '--out',
    out,
    '--input',
    'x=length, width',
    ...small,
  ])
  expect(begun).toMatchObject({ code: 0, err: '' })
  expect(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'))).toMatchObject({
    data: { path: data, heldOut: 0.4 },
    config: { inputs: { x: 'length, width' } },
  })
  // Columns and part are those that the run began with.
  expect(run('rdm-fit', ['--resume', '--out', out, '--epochs', '5'])).toMatchObject({ code: 0, err: '' })
  const trained = join(out, 'model.onnx')
  const measured = run('rdm-eval', [trained, '--data', data, '--hold-out', '0.4', '--input', 'x=*', '--json'])
  expect(measured).toMatchObject({ code: 0, err: '' })
  const { images, error, classes } = JSON.parse(measured.out)
  expect({ images, names: classes.map(({ name }: { name: string }) => name) }).toEqual({
    images: 48,
    names: ['aster', 'lily'],
  })
  expect(error).toBeLessThan(0.1)
  const last = JSON.parse(readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n').at(-1)!)
  expect(last.testError).toBe(error)

  const other = run('rdm-fit', ['--resume', '--out', out, '--hold-out', '0.3'])
  expect(other.code).toBe(2)
  expect(other.err).toMatch(/began with other data/)
})

test('several seeds, which go on with their columns', async () => {
  const { data, model, out } = await flowers()
  const small = ['--threads', '1', '--target', 'portable', '--input', 'x=length,width']
  expect(
    run('rdm-fit', [model, '--data', data, '--out', out, '--seeds', '1', '--epochs', '1', ...small]),
  ).toMatchObject({ code: 0 })
  expect(run('rdm-fit', ['--resume', '--out', out, '--seeds', '1,2'])).toMatchObject({ code: 0 })
})

test('what does not fit is one line', async () => {
  const { data, model, out } = await flowers()
  const refused = (...argv: string[]) => {
    const { code, err } = run('rdm-fit', [model, '--data', data, '--out', out, ...argv])
    return [code, err]
  }
  expect(refused('--input', 'x=length,depth')).toEqual([
    2,
    "rdm-fit: the data have no column 'depth' for the input 'x' (float32[batch, 2]); they have 'length' float32[], 'width' float32[], 'kind' uint8[]\n",
  ])
  expect(refused('--hold-out', '1')).toEqual([
    2,
    "rdm-fit: option '--hold-out <part>' argument '1' is invalid. Expected a number from 0.000001 to 0.999999\n",
  ])
  writeFileSync(data, `${readFileSync(data, 'utf8')}\n1,,lily\n`)
  expect(refused()).toEqual([
    2,
    `rdm-fit: ${data}: line 122, column 'width': is missing; expected a value in every line\n`,
  ])
})
