// Inputs of a file made narrower: sizes and values that it leaves open.

import { UserError } from '../errors.js'
import type { Tensors } from '../graph/tensor.js'
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
function fitting(inputs: readonly ValueInfo[], name: string, shape: readonly number[], what: string): ValueInfo {
  const info = inputs.find((info) => info.name === name)
  if (!info)
    throw new UserError(
      `a ${what} is given for '${name}', which is no input; expected one of ${inputs.map(({ name }) => name).join(', ')}`,
    )
  const sizes = sizesOf(info)
  const isOther = sizes.some((size, axis) => typeof size === 'number' && size !== shape[axis])
  if (sizes.length !== shape.length || isOther || !shape.every((size) => Number.isSafeInteger(size) && size > 0))
    throw new UserError(
      `the input '${name}' is [${sizes.join(', ')}] in the file; the shape [${shape.join(', ')}] does not fit`,
    )
  return info
}

/**
 * The graph with these shapes at its inputs.
 * @throws UserError for a name that is no input, or a shape that is not the file's
 */
export function withShapes(graph: GraphProto, shapes: Readonly<Record<string, readonly number[]>>): GraphProto {
  const inputs = graph.input ?? []
  const sizes = new Map<string, number>()
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
      return size === undefined ? dim : { dimValue: size }
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
