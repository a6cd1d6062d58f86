// Inputs of a file: their types, and made narrower: sizes and values that it leaves open.

import { UserError } from '../errors.js'
import type { Type } from '../graph/operator.js'
import { type Dim, isKnown, type Shape } from '../graph/shape.js'
import { dtypes, type Tensors } from '../graph/tensor.js'
import { input, type Value } from '../graph/value.js'
import { dtypeOf } from '../ops/elementwise.js'
import type { GraphProto, ValueInfo } from './protos.js'
import { tensorToProto, toNumber } from './tensors.js'

type Dimension = NonNullable<
  NonNullable<NonNullable<NonNullable<ValueInfo['type']>['tensorType']>['shape']>['dim']
>[number]

const dimsOf = ({ type }: ValueInfo): readonly Dimension[] | undefined => type?.tensorType?.shape?.dim ?? undefined
/** 0 where it is open; some exporters write -1. */
const sizeIn = ({ dimValue }: Dimension): number => Math.max(0, dimValue == null ? 0 : toNumber(dimValue))

const sizesOf = (info: ValueInfo): readonly (number | string)[] =>
  (dimsOf(info) ?? []).map((dim) => sizeIn(dim) || dim.dimParam || '?')

/** The input of a name, whose shape can be the one given. */
function fitting(inputs: readonly ValueInfo[], name: string, shape: Shape, what: string): ValueInfo {
  const info = inputs.find((info) => info.name === name)
  if (!info)
    throw new UserError(
      `a ${what} is given for '${name}', which is no input; expected one of ${inputs.map(({ name }) => name).join(', ')}`,
    )
  const sizes = sizesOf(info)
  const isOther = sizes.some((size, axis) => typeof size === 'number' && size !== shape[axis])
  const isSize = (size: Dim) => (isKnown(size) ? Number.isSafeInteger(size) && size > 0 : size !== '')
  if (sizes.length !== shape.length || isOther || !shape.every(isSize))
    throw new UserError(
      `the input '${name}' is [${sizes.join(', ')}] in the file; the shape [${shape.join(', ')}] does not fit`,
    )
  return info
}

/**
 * The graph with these shapes at its inputs.
 * @throws UserError for a name that is no input, or a shape that is not the file's
 */
export function withShapes(graph: GraphProto, shapes: Readonly<Record<string, Shape>>): GraphProto {
  const inputs = graph.input ?? []
  const sizes = new Map<string, Dim>()
  for (const [name, shape] of Object.entries(shapes))
    sizesOf(fitting(inputs, name, shape, 'shape')).forEach((symbol, axis) => {
      if (typeof symbol === 'number' || symbol === '?') return
      const size = shape[axis]!
      const known = sizes.get(symbol) ?? size
      if (known !== size)
        throw new UserError(`the shapes given make '${symbol}' both ${known} and ${size}; expected one size`)
      sizes.set(symbol, size)
    })
  const input = inputs.map((info) => {
    const shape = Object.hasOwn(shapes, info.name ?? '') ? shapes[info.name ?? ''] : undefined
    const dim = dimsOf(info)?.map((dim, axis): Dimension => {
      const size = shape?.[axis] ?? sizes.get(dim.dimParam ?? '')
      return size === undefined ? dim : isKnown(size) ? { dimValue: size } : { dimParam: size }
    })
    return dim ? { ...info, type: { tensorType: { ...info.type!.tensorType, shape: { dim } } } } : info
  })
  return { ...graph, input }
}

/**
 * The graph with initializers in the place of these inputs.
 * @throws UserError for a name that is no input, or a value of another type
 */
export function withValues(graph: GraphProto, values: Tensors): GraphProto {
  const inputs = graph.input ?? []
  for (const [name, { dtype, shape }] of Object.entries(values)) {
    const { type } = fitting(inputs, name, shape, 'value')
    const declared = dtypeOf(type?.tensorType?.elemType ?? 0)
    if (declared !== dtype)
      throw new UserError(`the value given for '${name}' is ${dtype}; the file has ${declared ?? 'another type'}`)
  }
  const initializer = Object.entries(values).map(([name, value]) => tensorToProto(name, value))
  const input = inputs.filter(({ name }) => !Object.hasOwn(values, name ?? ''))
  return { ...graph, input, initializer: [...(graph.initializer ?? []), ...initializer] }
}

/** A dimension's name as a symbol: what looks like a number or an expression is one symbol as it stands. */
const symbolOf = (name: string): string => (/^\d|[*+()?\s]/.test(name) ? `(${name.replaceAll('?', '_')})` : name)

/** @param isOuter whether it is an input of the file, whose first dimension is the batch unless it has a name */
export function readInput(info: ValueInfo, given: Type | undefined, isOuter: boolean): Value {
  const type = info.type?.tensorType
  if (given && (!type?.shape || (type.shape.dim ?? []).length === given.shape.length)) {
    const declared = dtypeOf(type?.elemType ?? 0)
    if (declared && declared !== given.dtype)
      throw new UserError(`the input '${info.name}' is declared ${declared} and gets ${given.dtype}; expected the same`)
    return input(info.name ?? '', given.dtype, given.shape)
  }
  const dtype = dtypeOf(type?.elemType ?? 0)
  if (!type?.shape) throw new UserError(`the input '${info.name}' needs a tensor type with a shape`)
  if (!dtype)
    throw new UserError(
      `the input '${info.name}': element type ${type.elemType} is not supported; use one of ${dtypes.join(', ')}`,
    )
  const shape = (type.shape.dim ?? []).map(({ dimValue, dimParam }, axis): Dim => {
    const size = dimValue == null ? 0 : toNumber(dimValue)
    if (!Number.isSafeInteger(size))
      throw new UserError(
        `the input '${info.name}': dimension ${size} is not possible; expected a whole number below 2^53`,
      )
    // protobuf cannot tell an absent size from 0, and no tensor that trains has a size of 0.
    if (size > 0) return size
    // Some exporters call each dimension that they do not know '?'.
    return dimParam && dimParam !== '?' ? symbolOf(dimParam) : isOuter && axis === 0 ? 'batch' : `${info.name}.${axis}`
  })
  return input(info.name ?? '', dtype, shape)
}
