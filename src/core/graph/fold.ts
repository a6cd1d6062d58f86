// Whole numbers that are known before anything runs become constants: what is computed from known shapes needs no node.

import { numbersIn } from './dims.js'
import type { Graph } from './graph.js'
import { rebuild, rewrite } from './rewrite.js'
import { isFloat } from './tensor.js'
import { constantTensor, type Value } from './value.js'

/** The value, or a constant where all its numbers are known; floats stay as they are, each rounded where it is computed. */
export function folded(value: Value): Value {
  if (isFloat(value.dtype) || value.origin.kind !== 'node') return value
  const known = numbersIn(value)
  return known ? constantTensor(known) : value
}

/** The same graph without the arithmetic of known shapes. */
export const fold = (source: Graph): Graph => rewrite(source, (node, inputs) => rebuild(node, inputs).map(folded))
