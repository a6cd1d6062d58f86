// One test of ONNX's: a model, its inputs, and the outputs that it should give.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../dist/src/core/errors.js'
import { isFloat } from '../dist/src/core/graph/tensor.js'
import { decodeModel } from '../dist/src/core/onnx/tensors.js'
import { evaluateGraph, readNetwork } from '../dist/src/index.js'
import { tensorAt } from './files.mjs'

/** |a − b| ≤ absolute + relative · |b|: as ONNX's own test runner has it, wider where the numbers have fewer digits. */
const tolerances = { float16: [1e-3, 1e-2], bfloat16: [1e-2, 2e-2] }
const USUAL = [1e-6, 1e-3]

function difference(actual, expected) {
  if (actual.dtype !== expected.dtype || actual.shape.join() !== expected.shape.join())
    return `is ${actual.dtype}[${actual.shape}], expected ${expected.dtype}[${expected.shape}]`
  const [absolute, relative] = tolerances[actual.dtype] ?? USUAL
  const near = (a, b) =>
    a === b ||
    (Number.isNaN(a) && Number.isNaN(b)) ||
    (isFloat(actual.dtype) && Math.abs(a - b) <= absolute + relative * Math.abs(b))
  const at = actual.data.findIndex((value, i) => !near(value, expected.data[i]))
  return at < 0 ? undefined : `[${at}] is ${actual.data[at]}, expected ${expected.data[at]}`
}

/** What becomes of a test: right, wrong, refused or drawn (random, so that nothing can be compared), and why. */
export function attempt(folder) {
  try {
    const bytes = readFileSync(join(folder, 'model.onnx'))
    const graph = readNetwork(bytes)
    const { input, output, node } = decodeModel(bytes).graph
    const operators = new Set(node.map(({ opType }) => opType))
    const isDrawn = graph.nodes.some(({ operator }) => operator.random)
    for (let k = 0; existsSync(join(folder, `test_data_set_${k}`)); k++) {
      const tensor = (kind, i) => {
        const file = join(folder, `test_data_set_${k}`, `${kind}_${i}.pb`)
        return existsSync(file) ? tensorAt(file) : undefined
      }
      const fed = input.map(({ name }, i) => [name, tensor('input', i)]).filter(([, value]) => value)
      const actual = evaluateGraph(graph, new Map(fed))
      if (isDrawn) return { verdict: 'drawn', operators }
      for (const [i, { name }] of output.entries()) {
        const expected = tensor('output', i)
        const why = expected && difference(actual.get(name), expected)
        if (why) return { verdict: 'wrong', why: `${name} ${why}`, operators }
      }
    }
    return { verdict: 'right', operators }
  } catch (error) {
    if (error instanceof UserError) return { verdict: 'refused', why: error.message }
    return { verdict: 'wrong', why: `it fails: ${error.stack.split('\n').slice(0, 2).join(' ')}` }
  }
}
