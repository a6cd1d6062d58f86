// What operators that hold graphs share: to evaluate one, and to build its nodes anew on other values.

import { evaluate } from '../graph/evaluate.js'
import type { Body } from '../graph/operator.js'
import { type Replace, rewriteOutputs } from '../graph/rewrite.js'
import type { Numbers } from '../graph/tensor.js'
import { nameOf, type Value } from '../graph/value.js'

/** What a body computes of the numbers at its inputs. */
export function numbersOf({ graph }: Body, given: readonly Numbers[]): readonly Numbers[] {
  return [...evaluate(graph, new Map(graph.inputs.map((value, i) => [nameOf(value), given[i]!]))).values()]
}

/** The outputs of a body on these values, one for each of its inputs. */
export function applied(
  { graph }: Body,
  values: readonly Value[],
  replace: Replace = () => undefined,
): readonly Value[] {
  const leaves = new Map(graph.inputs.map((value, i) => [value, values[i]!]))
  return [...rewriteOutputs(graph, replace, { leaves }).values()]
}
