// Whole numbers as the WebGPU provider computes with them. It has no kernels for int64: labels, indices and counts are int32 there,
// and int64 only where the step takes and gives them. Bytes it only knows as quantized numbers.

import type { Graph } from '../../../core/graph/graph.js'
import { type Replace, rewrite } from '../../../core/graph/rewrite.js'
import type { DType } from '../../../core/graph/tensor.js'
import {
  apply,
  apply1,
  constant,
  constantOf,
  input,
  type Node,
  nameOf,
  nodeOf,
  type Value,
} from '../../../core/graph/value.js'
import {
  Abs,
  Add,
  Cast,
  Concat,
  cast,
  DequantizeLinear,
  Div,
  Equal,
  Expand,
  Flatten,
  Gather,
  GatherElements,
  Greater,
  GreaterOrEqual,
  Less,
  LessOrEqual,
  Mul,
  Neg,
  ReduceMax,
  ReduceMin,
  ReduceSum,
  Reshape,
  ScatterElements,
  Slice,
  Squeeze,
  Sub,
  Tile,
  Transpose,
  Unsqueeze,
  Where,
} from '../../../core/ops/index.js'

/** Operators that have kernels for int32: how many of their first operands are data, as against shapes and axes. */
const all = Number.POSITIVE_INFINITY
const operands = new Map<unknown, number>([
  ...[Abs, Add, Concat, Div, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Mul, Neg, Sub, Where].map(
    (operator): [unknown, number] => [operator, all],
  ),
  ...[Cast, Expand, Flatten, ReduceMax, ReduceMin, ReduceSum, Reshape, Slice, Squeeze, Tile, Transpose, Unsqueeze].map(
    (operator): [unknown, number] => [operator, 1],
  ),
  [Gather, 2],
  [GatherElements, 2],
  [ScatterElements, 3],
])

const LARGEST = 2 ** 31

/** An int64 in int32, without a way there and back; undefined for a constant that does not fit. */
function narrow(value: Value): Value | undefined {
  const known = constantOf(value)
  if (known) {
    const fits = known.every((number) => number >= -LARGEST && number < LARGEST)
    return fits ? constant('int32', known, value.shape as readonly number[]) : undefined
  }
  const node = nodeOf(value)
  const source = node?.operator === Cast ? node.inputs[0]! : value
  return source.dtype === 'int32' ? source : cast(source, 'int32')
}

const inInt32: Replace = (node, inputs) => {
  const count = operands.get(node.operator)
  const isWide = (value: Value | undefined, i: number) => value?.dtype === 'int64' && i < (count ?? 0)
  const gives = node.operator === Cast && node.outputs[0]!.dtype === 'int64'
  if (!inputs.some(isWide) && !gives) return undefined
  const narrowed = inputs.map((value, i) => (isWide(value, i) ? narrow(value!) : value))
  if (narrowed.some((value, i) => inputs[i] && !value)) return undefined
  if (node.operator === Cast) {
    const { dtype } = node.outputs[0]!
    if (dtype !== 'int64') return [cast(narrowed[0]!, dtype)]
    return inputs[0]!.dtype === 'int32' ? undefined : [cast(cast(narrowed[0]!, 'int32'), 'int64')]
  }
  const outputs = apply(node.operator, narrowed, node.attributes)
  return outputs.map((value) => (value.dtype === 'int32' ? cast(value, 'int64') : value))
}

/** The same graph with int32 in place of int64, wherever there are kernels for it. Numbers from 2³¹ on are none of a step. */
export const narrowed = (source: Graph): Graph => rewrite(source, inInt32)

/** The type in which a graph's input comes to the device. */
const deviceTypes: Partial<Record<DType, DType>> = { int64: 'int32', uint8: 'float32' }

/** What is fed, as it is computed with: bytes become floats on the device, so that bytes cross the bus. */
export const onDevice = (value: Value): Value => {
  const dtype = deviceTypes[value.dtype]
  if (value.dtype === 'uint8') return apply1(DequantizeLinear, [value, constant('float32', 1)])
  return dtype ? cast(value, dtype) : value
}

/** The same graph, whose inputs are of the types that `onDevice` gives. */
export function fromDevice(source: Graph): Graph {
  const leaves = new Map<Value, Value>()
  const made = new Set<Value>()
  for (const value of source.inputs) {
    const dtype = deviceTypes[value.dtype]
    if (!dtype) continue
    const opened = cast(input(nameOf(value), dtype, value.shape), value.dtype)
    leaves.set(value, opened)
    made.add(opened)
  }
  const there = (node: Node, [x]: readonly (Value | undefined)[]) => {
    const [own] = (x && made.has(x) && nodeOf(x)?.inputs) || []
    return node.operator === Cast && own?.dtype === node.outputs[0]!.dtype ? [own] : undefined
  }
  const inputs = [...leaves.values()].map((value) => nodeOf(value)!.inputs[0]!)
  return rewrite(source, there, { leaves, inputs })
}
