// Inputs of which every number is always the same.

import { UserError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { rewrite } from '../graph/rewrite.js'
import { isStatic, sizeOf } from '../graph/shape.js'
import { type DType, isFloat, narrow, numbers, type Tensors } from '../graph/tensor.js'
import { apply1, constant, formatType, nameOf, type Value } from '../graph/value.js'
import { Expand, shapeVector } from '../ops/index.js'
import { readInput } from './inputs.js'
import type { GraphProto } from './protos.js'

export type Fills = Readonly<Record<string, number>>

const MOST = 2 ** 16

/** @throws UserError where the type does not hold the number */
function filler(name: string, dtype: DType, value: number): number {
  const isHeld = isFloat(dtype) || (dtype === 'bool' ? value === 0 || value === 1 : Number.isSafeInteger(value))
  if (!isHeld) throw new UserError(`the input '${name}' is ${dtype}, which does not hold ${value}`)
  return value
}

/**
 * Tensors for those inputs of a file whose sizes are known: what they decide is decided while the file is read.
 * @throws UserError for a name that is no input
 */
export function filledTensors({ input = [] }: GraphProto, fills: Fills): Tensors {
  const tensors = Object.keys(fills).flatMap((name) => {
    const info = input?.find((info) => info.name === name)
    if (!info)
      throw new UserError(
        `a value is given for '${name}', which is no input; expected one of ${input?.map(({ name }) => name).join(', ')}`,
      )
    const { dtype, shape } = readInput(info, undefined, true)
    // Many numbers are spread when it runs.
    if (!isStatic(shape) || (sizeOf(shape) as number) > MOST) return []
    const value = filler(name, dtype, fills[name]!)
    return [[name, narrow(numbers(dtype, shape, new Float64Array(sizeOf(shape) as number).fill(value)))] as const]
  })
  return Object.fromEntries(tensors)
}

/**
 * The graph with the number in the place of each of these inputs, in the sizes that the other inputs have.
 * @throws UserError where no other input has a size
 */
export function withFills(graph: Graph, fills: Fills): Graph {
  const others = graph.inputs.filter((value) => !Object.hasOwn(fills, nameOf(value)))
  const leaves = new Map<Value, Value>()
  for (const value of graph.inputs) {
    if (others.includes(value)) continue
    const { dtype, shape } = value
    const name = nameOf(value)
    const number = constant(dtype, filler(name, dtype, fills[name]!))
    const unknown = shape.find((dim) => typeof dim === 'string' && !others.some((other) => other.shape.includes(dim)))
    if (unknown !== undefined)
      throw new UserError(
        `the input '${name}' ${formatType(value)} cannot be filled: no other input has the size '${unknown}'; say its shape`,
      )
    leaves.set(value, apply1(Expand, [number, shapeVector(shape, others)]))
  }
  return leaves.size === 0 ? graph : rewrite(graph, () => undefined, { leaves })
}
