// What is known of the whole numbers in a value before anything runs: shapes are computed from shapes, and a symbol (`batch`)
// goes through that arithmetic as it is. So a Reshape to [Shape(x)[0], -1] has a shape, whatever the batch.

import { type Dim, isKnown, isStatic, type Shape, sizeOf } from './shape.js'
import { type Numbers, numbers } from './tensor.js'
import { constantOf, GraphError, type Value } from './value.js'

/** More numbers than these are no shape, no axes and no indices that a shape depends on. */
const MOST = 4096

const found = new WeakMap<Value, Shape | false>()

/**
 * The numbers of a value in row-major order, each known or a symbol; undefined where nothing is known of them. Numbers that are
 * not whole come out as well, where all of them are known.
 */
export function dimsIn(value: Value | undefined): Shape | undefined {
  if (!value) return undefined
  if (value.origin.kind === 'constant') return value.origin.tensor.data.length <= MOST ? constantOf(value) : undefined
  if (value.origin.kind !== 'node') return undefined
  const known = found.get(value)
  if (known !== undefined) return known || undefined
  const { node } = value.origin
  const results = resultsOf(node.outputs, value.origin.node)
  node.outputs.forEach((output, i) => {
    found.set(output, results[i] ?? false)
  })
  return results[value.origin.index]
}

const isSmall = ({ shape }: Value): boolean => {
  const size = sizeOf(shape)
  return isKnown(size) && size <= MOST
}

type Call = Extract<Value['origin'], { kind: 'node' }>['node']

function resultsOf(outputs: readonly Value[], { operator, inputs, attributes }: Call): readonly (Shape | undefined)[] {
  if (operator.random || !outputs.every(isSmall)) return []
  const symbolic = operator.dims?.(inputs as readonly Value[], attributes as never, dimsIn)
  if (symbolic?.every((dims) => dims)) return symbolic
  const operands = inputs.map((value) => value && numbersIn(value))
  if (inputs.some((value, i) => value && !operands[i])) return symbolic ?? []
  try {
    const results = operator.evaluate(operands as readonly Numbers[], attributes as never)
    return results.map(({ data }) => [...data])
  } catch (error) {
    // The run will say it.
    if (error instanceof GraphError || error instanceof RangeError) return []
    throw error
  }
}

/** A value all of whose numbers are known, as the reference evaluation has it. */
export function numbersIn(value: Value): Numbers | undefined {
  const { dtype, shape } = value
  if (!isStatic(shape)) return undefined
  const dims = dimsIn(value)
  return dims?.every(isKnown) ? numbers(dtype, shape, dims as number[]) : undefined
}

/** As `dimsIn`, for numbers that are all known: axes, lengths, places. */
export function knownIn(value: Value | undefined): readonly number[] | undefined {
  const dims: readonly Dim[] | undefined = dimsIn(value)
  return dims?.every(isKnown) ? dims : undefined
}

/** As `knownIn`, for an operand that must be known. */
export function requireKnown(value: Value, what: string): readonly number[] {
  const known = knownIn(value)
  if (!known)
    throw new GraphError(`${what} must be known before anything runs: a constant, or computed from known shapes`)
  return known
}
