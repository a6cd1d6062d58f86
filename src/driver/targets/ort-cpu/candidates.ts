// One primitive, several candidates to write it: which is fastest depends on shape and machine.

import type { Attributes, Operator, Type } from '../../../core/graph/operator.js'
import type { Value } from '../../../core/graph/value.js'

/** A candidate: it writes a primitive for operands that it fits. */
export interface Candidate<A> {
  readonly name: string
  fits(inputs: readonly Value[], attributes: A): boolean
  write(inputs: readonly Value[], attributes: A): Value
}

/** A convolution or gradient that has several candidates. */
export interface Call {
  readonly operator: Operator
  readonly attributes: Attributes
  readonly operands: readonly (Type & { readonly blocked: boolean })[]
}

/**
 * Says which of several candidates to take, by name; undefined leaves it to the order of the list.
 * @param key the primitive with layouts, shapes (but for the batch size) and attributes
 */
export type Choose = (key: string, names: readonly string[], call: Call) => string | undefined

/** Operands that hold a batch: the first, and the gradient beside it. */
const batchOperands = (operator: Operator): number => (operator.name === 'ConvWeightGrad' ? 2 : 1)

/** `ConvWeightGrad blocked[N, 16, 32, 32] blocked[N, 16, 32, 32] kernel 3×3 pads 1,1,1,1`: the same for every batch size. */
export function keyOf({ operator, attributes, operands }: Call): string {
  const types = operands.map(({ shape, blocked }, i) => {
    const dims = i < batchOperands(operator) ? ['N', ...shape.slice(1)] : shape
    return `${blocked ? 'blocked' : ''}[${dims.join(', ')}]`
  })
  const unusual = Object.entries(attributes).filter(
    ([name, value]) => value !== undefined && String(value) !== String(operator.attributes[name]?.default),
  )
  return [operator.name, ...types, ...unusual.map(([name, value]) => `${name}=${value}`)].join(' ')
}
