// Shapes whose dimensions may be symbols: `[batch, 3, 32, 32]`, and the little arithmetic that shape rules need.

import { UserError } from '../errors.js'

/**
 * One dimension: a whole number, or a symbolic expression in canonical text. A product is `16*batch` (number first,
 * symbols in order); a sum with a number is `(batch+2)` and counts as one symbol from then on. `?7` is a dimension that only
 * the data tell.
 */
export type Dim = number | string
/** One {@link Dim} an axis; [] is a scalar. */
export type Shape = readonly Dim[]

let unknowns = 0
/** A dimension that only the data tell (how many numbers are not zero): like no other. Files leave it without a name. */
export const unknownDim = (): Dim => `?${unknowns++}`
/** The length of a vector of sizes, which a file may declare as it likes. */
const MOST_DIMENSIONS = 1024
/** @throws UserError for more dimensions than any tensor has */
export function unknownShape(rank: number): Shape {
  if (rank > MOST_DIMENSIONS)
    throw new UserError(`a tensor of ${rank} dimensions is not possible; expected ${MOST_DIMENSIONS} at most`)
  return Array.from({ length: rank }, unknownDim)
}
export const isUnknown = (dim: Dim): dim is string => !isKnown(dim) && dim.includes('?')

export const isKnown = (dim: Dim): dim is number => typeof dim === 'number'
export const isStatic = (shape: Shape): shape is readonly number[] => shape.every(isKnown)
export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((dim, i) => dim === b[i])
export const formatShape = (shape: Shape): string => `[${shape.join(', ').replace(/\?\d+/g, '?')}]`

/**
 * Two dimensions that have to be the same: what is known of them, or undefined where they are two numbers. Whether two symbols
 * stand for one number only a run can tell.
 */
export const unifyDims = (a: Dim, b: Dim): Dim | undefined => {
  if (a === b) return a
  if (isKnown(a)) return isKnown(b) ? undefined : a
  return isKnown(b) || isUnknown(a) ? b : a
}

/** Two shapes that have to be the same; undefined where they cannot be. */
export function unifyShapes(a: Shape, b: Shape): Shape | undefined {
  if (a.length !== b.length) return undefined
  const dims = a.map((dim, i) => unifyDims(dim, b[i]!))
  return dims.includes(undefined) ? undefined : (dims as Shape)
}

/** Factors of a product, cut at each `*` outside parentheses. */
function factors(dim: Dim): { coefficient: number; symbols: string[] } {
  if (isKnown(dim)) return { coefficient: dim, symbols: [] }
  const parts: string[] = ['']
  let depth = 0
  for (const char of dim) {
    if (char === '(') depth++
    if (char === ')') depth--
    if (char === '*' && depth === 0) parts.push('')
    else parts[parts.length - 1] += char
  }
  const numeric = parts.filter((part) => /^\d+$/.test(part))
  return {
    coefficient: numeric.reduce((product, part) => product * Number(part), 1),
    symbols: parts.filter((part) => !/^\d+$/.test(part)),
  }
}

function fromFactors(coefficient: number, symbols: readonly string[]): Dim {
  if (coefficient === 0 || symbols.length === 0) return coefficient
  return [...(coefficient === 1 ? [] : [String(coefficient)]), ...[...symbols].sort()].join('*')
}

/** The number of elements of a shape: a number, or a product with the symbols in it. */
export function sizeOf(shape: Shape): Dim {
  const all = shape.map(factors)
  return fromFactors(
    all.reduce((product, { coefficient }) => product * coefficient, 1),
    all.flatMap(({ symbols }) => symbols),
  )
}

/** total ÷ part, where that is exact and every symbol cancels or stays whole; otherwise undefined. */
export function divideDim(total: Dim, part: Dim): Dim | undefined {
  const a = factors(total)
  const b = factors(part)
  if (b.coefficient === 0 || a.coefficient % b.coefficient !== 0) return undefined
  const symbols = [...a.symbols]
  for (const symbol of b.symbols) {
    const at = symbols.indexOf(symbol)
    if (at < 0) return undefined
    symbols.splice(at, 1)
  }
  return fromFactors(a.coefficient / b.coefficient, symbols)
}

/** a + b. Two symbols are not compared by value: the result is a symbol of its own, named by the sum. */
export function addDims(a: Dim, b: Dim): Dim {
  if (isKnown(a) && isKnown(b)) return a + b
  if (isKnown(a)) return addDims(b, a)
  if (!isKnown(b)) return `(${[a, b].sort().join('+')})`
  // `(batch+2)` is one symbol; `(batch+2)*(rows+1)` is a product of two.
  const sum = factors(a).symbols.length === 1 ? /^\((.*)([+-]\d+)\)$/.exec(a) : null
  const [base, offset] = sum ? [sum[1]!, Number(sum[2]) + b] : [a, b]
  return offset === 0 ? base : `(${base}${offset > 0 ? '+' : ''}${offset})`
}

/** One dimension of a broadcast result, by ONNX's shape inference: a symbol beside a number is that number, or 1. */
function broadcastDims(a: Dim, b: Dim): Dim | undefined {
  if (a === b || b === 1) return a
  if (a === 1) return b
  if (isKnown(a)) return isKnown(b) ? undefined : a
  return isKnown(b) ? b : unknownDim()
}

/** The shape of an elementwise result (ONNX multidirectional broadcasting), or undefined where the shapes do not meet. */
export function broadcastShapes(...shapes: readonly Shape[]): Shape | undefined {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length))
  const result: Dim[] = []
  for (let axis = 0; axis < rank; axis++) {
    let dim: Dim = 1
    for (const shape of shapes) {
      const met = broadcastDims(dim, shape[axis - rank + shape.length] ?? 1)
      if (met === undefined) return undefined
      dim = met
    }
    result.push(dim)
  }
  return result
}

/** An axis counted from the front; negative axes count from the back. Undefined when it is out of range. */
export function normalizeAxis(axis: number, rank: number): number | undefined {
  const positive = axis < 0 ? axis + rank : axis
  return Number.isInteger(axis) && positive >= 0 && positive < rank ? positive : undefined
}

/** Row-major strides, in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1)
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!
  return strides
}
