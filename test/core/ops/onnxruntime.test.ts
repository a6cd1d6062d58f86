// Every operator and every gradient, written as ONNX and run by ONNX Runtime, against the reference evaluation.
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { ONNX_DOMAIN } from '../../../src/core/graph/operator.js'
import { type DType, isFloat, type Numbers, narrow, numbers, tensorOf, widen } from '../../../src/core/graph/tensor.js'
import type { Value } from '../../../src/core/graph/value.js'
import { OPSET } from '../../../src/core/onnx/opsets.js'
import { encodeModel } from '../../../src/core/onnx/tensors.js'
import { writeModel } from '../../../src/core/onnx/write.js'
import { operators } from '../../../src/core/ops/index.js'
import { portable } from '../../../src/core/targets/portable/index.js'
import { expandNode } from '../../../src/core/targets/target.js'
import { gradientTrial, isDifferentiable, rows, trial } from '../../support/samples.js'

/** What a float32 runtime is fed: the reference starts from the same rounded numbers. */
const rounded = (t: Numbers): Numbers =>
  t.dtype === 'float32' ? numbers(t.dtype, t.shape, Float64Array.from(t.data, Math.fround)) : t

async function runInOnnxRuntime(outputs: readonly Value[], feeds: ReadonlyMap<Value, Numbers>): Promise<Numbers[]> {
  const inputs = [...feeds.keys()]
  const parts = {
    graph: graph('sample', inputs, Object.fromEntries(outputs.map((value, i) => [`out${i}`, value]))),
    weights: new Map(),
  }
  const model = encodeModel(writeModel(parts, (node, operands) => expandNode(portable, node, operands)))
  const session = await InferenceSession.create(model, { logSeverityLevel: 3, intraOpNumThreads: 1 })
  const given = Object.fromEntries(
    [...feeds].map(([value, t]) => {
      const host = narrow(t)
      return [
        value.origin.kind === 'input' ? value.origin.name : '',
        new OrtTensor(host.dtype as 'float32', host.data as never, [...host.shape]),
      ]
    }),
  )
  const results = await session.run(given)
  await session.release()
  return outputs.map((_, i) => {
    const result = results[`out${i}`]!
    return widen(tensorOf(result.type as DType, result.dims, result.data as Float32Array))
  })
}

function expectClose(actual: Numbers, expected: Numbers, what: string) {
  expect(actual.shape, what).toEqual(expected.shape)
  expect(actual.dtype, what).toEqual(expected.dtype)
  const scale = Math.max(1e-3, ...expected.data.map(Math.abs))
  const worst = Math.max(0, ...expected.data.map((value, i) => Math.abs(value - actual.data[i]!)))
  expect(worst / scale, what).toBeLessThan(isFloat(expected.dtype) ? 1e-5 : Number.MIN_VALUE)
}

const drawn = operators.filter(({ random }) => random)
/** What came after the version that is written, and is not made of others. */
const unwritten = operators.filter(
  ({ domain, since, before, body }) =>
    domain === ONNX_DOMAIN && since > OPSET && !body && (!before || before === 'nothing'),
)
const table = rows(operators.filter((operator) => !drawn.includes(operator) && !unwritten.includes(operator)))

describe('operators in ONNX Runtime', () => {
  it.each(table)('$name', async ({ operator, index }) => {
    const { outputs, feeds } = trial(operator, index, rounded)
    const expected = evaluateValues(outputs, feeds)
    const actual = await runInOnnxRuntime(outputs, feeds)
    expected.forEach((value, i) => {
      expectClose(actual[i]!, value, `output ${i}`)
    })
  })
})

describe('gradients in ONNX Runtime', () => {
  const differentiable = table.filter(({ operator }) => isDifferentiable(operator))
  it.each(differentiable)('$name', async ({ name, operator, index }) => {
    const { outputs: grads, feeds } = gradientTrial(trial(operator, index, rounded), name, rounded)
    if (grads.length === 0) return
    const expected = evaluateValues(grads, feeds)
    const actual = await runInOnnxRuntime(grads, feeds)
    expected.forEach((value, i) => {
      expectClose(actual[i]!, value, `gradient ${i}`)
    })
  })
})

describe('random draws in ONNX Runtime', () => {
  it.each(rows(drawn))('$name has the mean and deviation of the reference', async ({ operator, index }) => {
    const { outputs, feeds } = trial(operator, index)
    const [expected] = evaluateValues(outputs, feeds)
    const [actual] = await runInOnnxRuntime(outputs, feeds)
    const moments = ({ data }: Numbers) => {
      const mean = data.reduce((sum, value) => sum + value, 0) / data.length
      return [mean, Math.sqrt(data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length)]
    }
    const [a, b] = [moments(actual!), moments(expected!)]
    expect(Math.abs(a[0]! - b[0]!)).toBeLessThan(0.1)
    expect(Math.abs(a[1]! / b[1]! - 1)).toBeLessThan(0.1)
  })
})
