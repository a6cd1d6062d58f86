// One primitive, several ways to write it: which is fastest depends on shape and machine.

import type { Value } from '../../graph/value.js'

/** One way to write a primitive for operands that it fits. */
export interface Candidate<A> {
  readonly name: string
  fits(inputs: readonly Value[], attributes: A): boolean
  write(inputs: readonly Value[], attributes: A): Value
}

/**
 * Says which of several ways to take, by name; undefined leaves it to the order of the list.
 * @param key the primitive with layouts, shapes and attributes: what the time depends on
 */
export type Choose = (key: string, names: readonly string[]) => string | undefined
