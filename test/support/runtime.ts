// Graphs in ONNX Runtime, on the test's own thread, and the measure of how far its float32 lies from the reference.
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { expect } from 'vitest'
import type { Graph } from '../../src/core/graph/graph.js'
import { rewrite } from '../../src/core/graph/rewrite.js'
import {
  type DType,
  isFloat,
  type Numbers,
  narrow,
  numbers,
  type Tensor,
  tensorOf,
  widen,
} from '../../src/core/graph/tensor.js'
import { input, type Value } from '../../src/core/graph/value.js'
import { encodeModel } from '../../src/core/onnx/tensors.js'
import { writeModel } from '../../src/core/onnx/write.js'
import { levels, type PortableLevel } from '../../src/core/targets/portable/basic.js'
import { expandNode, expandPrimitives, expandStandard } from '../../src/core/targets/target.js'

/** `functions`: primitives are calls of local functions. `inline`: they are written out in place. */
export type Form = 'functions' | 'inline'
export type Tensors = ReadonlyMap<string, Numbers>

/** The same graph with every parameter as an input: state that comes in and goes out. */
export function withParametersAsInputs(graph: Graph): Graph {
  const leaves = new Map<Value, Value>(
    graph.parameters.map((value) => [value, input(value.origin.name, value.dtype, value.shape)]),
  )
  return rewrite(graph, () => undefined, { leaves, inputs: [...leaves.values()] })
}

/** The bytes of a model of this graph, in which the parameters are inputs. */
export function modelOf(graph: Graph, form: Form, level: PortableLevel = 'standard'): Uint8Array {
  const portable = levels[level]
  const open = expandStandard(withParametersAsInputs(graph), portable)
  const weights = new Map<string, Tensor>()
  return encodeModel(
    form === 'inline'
      ? writeModel({ graph: expandPrimitives(open, portable), weights })
      : writeModel({ graph: open, weights }, (node, inputs) => expandNode(portable, node, inputs)),
  )
}

export interface OpenModel {
  run(feeds: Tensors): Promise<Tensors>
  close(): Promise<void>
}

export async function openModel(model: Uint8Array, threads = 1): Promise<OpenModel> {
  const session = await InferenceSession.create(model, { logSeverityLevel: 3, intraOpNumThreads: threads })
  return {
    async run(feeds) {
      const given = Object.fromEntries(
        session.inputNames.map((name) => {
          const host = narrow(feeds.get(name)!)
          return [name, new OrtTensor(host.dtype as 'float32', host.data as Float32Array, [...host.shape])]
        }),
      )
      const results = Object.entries(await session.run(given))
      return new Map(
        results.map(([name, { type, dims, data }]) => [
          name,
          widen(tensorOf(type as DType, dims, data as Float32Array)),
        ]),
      )
    },
    close: () => session.release(),
  }
}

/** What a float32 runtime is fed: the reference starts from the same rounded numbers. */
export const rounded = (t: Numbers): Numbers =>
  t.dtype === 'float32' ? numbers(t.dtype, t.shape, Float64Array.from(t.data, Math.fround)) : t

const largest = (data: Float64Array) => data.reduce((most, value) => Math.max(most, Math.abs(value)), 0)

/** max |actual − expected| / max |expected|; below `floor` an expected tensor counts as if it reached it. */
export function relativeError(actual: Numbers, expected: Numbers, floor: number): number {
  const difference = expected.data.map((value, i) => actual.data[i]! - value)
  // A NaN anywhere must not vanish in a maximum.
  if (difference.some(Number.isNaN)) return Number.NaN
  return largest(difference) / Math.max(floor, largest(expected.data))
}

/** Same type, and within `tolerance` by `relativeError`; whole numbers and bools exactly. */
export function expectClose(actual: Numbers, expected: Numbers, what: string, tolerance = 1e-5, floor = 1e-3): void {
  expect([actual.dtype, ...actual.shape], what).toEqual([expected.dtype, ...expected.shape])
  const error = relativeError(actual, expected, floor)
  expect(error, `${what}: relative error ${error}`).toBeLessThanOrEqual(isFloat(expected.dtype) ? tolerance : 0)
}
