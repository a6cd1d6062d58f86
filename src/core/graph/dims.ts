// What is known of the whole numbers in a value before anything runs: shapes are computed from shapes, and a symbol (`batch`)
// goes through that arithmetic as it is. So a Reshape to [Shape(x)[0], -1] has a shape, whatever the batch.

import { UserError } from '../errors.js'
import { type Dim, isKnown, isStatic, type Shape, sizeOf } from './shape.js'
import { isExact, isInteger, type Numbers, numbers } from './tensor.js'
import { constantOf, GraphError, type Node, type Value } from './value.js'

/** More numbers than these are no shape, no axes and no indices that a shape depends on. */
const MOST = 4096

const found = new WeakMap<Value, Shape | false>()

/**
 * The numbers of a value in row-major order, each known or a symbol; undefined where nothing is known of them. Numbers that are
 * not whole come out as well, where all of them are known.
 */
export function dimsIn(value: Value | undefined): Shape | undefined {
  if (!value) return undefined
  const known = found.get(value)
  if (known !== undefined) return known || undefined
  const { origin } = value
  if (origin.kind === 'constant') {
    const small = origin.tensor.data.length <= MOST ? unlessRefused(() => constantOf(value)) : undefined
    found.set(value, small ?? false)
    return small
  }
  if (origin.kind !== 'node') return undefined
  const { outputs } = origin.node
  const results = resultsOf(origin.node)
  outputs.forEach((output, i) => {
    // What float64 would round is left to the run.
    const isKept = !isInteger(output.dtype) || results[i]?.every((dim) => !isKnown(dim) || isExact(dim))
    found.set(output, (isKept && results[i]) || false)
  })
  return found.get(value) || undefined
}

const isSmall = ({ shape }: Value): boolean => {
  const size = sizeOf(shape)
  return isKnown(size) && size <= MOST
}

/** Undefined where it is refused: the run will say it. */
function unlessRefused<T>(compute: () => T): T | undefined {
  try {
    return compute()
  } catch (error) {
    if (error instanceof UserError) return undefined
    throw error
  }
}

function resultsOf({ operator, inputs, attributes, outputs }: Node): readonly (Shape | undefined)[] {
  if (operator.random || !outputs.every(isSmall)) return []
  const symbolic = operator.dims?.(inputs as readonly Value[], attributes as never, dimsIn)
  if (symbolic?.every((dims) => dims)) return symbolic
  const operands = inputs.map((value) => value && numbersIn(value))
  if (inputs.some((value, i) => value && !operands[i])) return symbolic ?? []
  const results = unlessRefused(() => operator.evaluate(operands as readonly Numbers[], attributes as never))
  return results?.map(({ data }) => [...data]) ?? []
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
