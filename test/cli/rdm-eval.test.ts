// rdm-eval as a user runs it.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { exportTiny, run, synthesizeTiny } from './support.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-eval-'))
afterAll(() => rmSync(root, { recursive: true }))

let model: string
let data: string
const out = join(root, 'run')

beforeAll(() => {
  data = synthesizeTiny(root)
  model = exportTiny(root)
  run('rdm-fit', [model, '--data', data, '--out', out, '--batch', '8', '--epochs', '1', '--threads', '1'])
})

it('says the same as the run that trained the model', () => {
  const trained = join(out, 'model.onnx')
  const { code, out: text, err } = run('rdm-eval', [trained, '--data', data, '--threads', '1', '--json'])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const result = JSON.parse(text)
  const metrics = JSON.parse(readFileSync(join(out, 'metrics.jsonl'), 'utf8'))
  expect(result).toMatchObject({ images: 20, error: metrics.testError, loss: metrics.testLoss })
  expect(result.wrong).toBe(Math.round(result.error * 20))
  expect(result.classes).toHaveLength(10)
  const counts = result.confusion.flat() as number[]
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(20)
})

it('prints the error of each class and the confusion matrix, of any part of the data', () => {
  const { code, out: text } = run('rdm-eval', ['-', '--data', data, '--split', 'train'], readFileSync(model))
  expect(code).toBe(0)
  const lines = text.trimEnd().split('\n')
  expect(lines[0]).toMatch(/^error \d+\.\d\d % \(\d+ of 40 images\), loss \d+\.\d{4}$/)
  expect(lines[2]).toBe('error by class, and how many images of each class (row) were taken for which (column):')
  expect(lines).toHaveLength(4 + 10)
  const widths = new Set(lines.slice(3).map((line) => line.length))
  expect(widths.size).toBe(1)
})

it.each<[string, () => string[], string | RegExp]>([
  ['no data', () => [model], "required option '--data <path>' not specified"],
  ['no such file', () => ['nowhere.onnx', '--data', data], 'there is no file nowhere.onnx'],
  ['what is not ONNX', () => [join(data, 'MD5SUMS'), '--data', data], /^this is not an ONNX model \(/],
  [
    'another number of classes',
    () => [exportTiny(mkdtempSync(join(root, 'm-')), '--classes', '7'), '--data', data],
    "the model has 7 classes, the column 'labels' of the data has 10",
  ],
  [
    'a training step',
    () => [exportTiny(mkdtempSync(join(root, 'm-')), '--part', 'train'), '--data', data],
    /^the model is no image classifier: expected one input, uint8 \[batch, 3, height, width\], found /,
  ],
])('refuses %s', (_, argv, message) => {
  const { code, out: text, err } = run('rdm-eval', argv())
  expect({ code, out: text }).toEqual({ code: 2, out: '' })
  expect(err).toMatch(/^rdm-eval: [^\n]+\n$/)
  expect(err.slice('rdm-eval: '.length, -1)).toMatch(message)
})
