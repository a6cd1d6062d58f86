// Reference evaluation: every operator in float64 on the host. Slow, plain, and what all targets are measured by.

import { UserError } from '../errors.js'
import type { Graph } from './graph.js'
import { ancestors } from './graph.js'
import { isExact, isInteger, type Numbers, type Tensor, widen } from './tensor.js'
import { GraphError, type Value } from './value.js'

/** Tensors in float64; what float64 cannot hold is an error. */
function widened(value: Tensor | Numbers): Numbers {
  try {
    return widen(value)
  } catch (error) {
    throw error instanceof UserError ? new GraphError(`evaluate: ${error.message}`) : error
  }
}

/** Whole numbers are exact or refused, never rounded. */
function exact(result: Numbers): Numbers {
  const rounded = isInteger(result.dtype) ? result.data.find((value) => !isExact(value)) : undefined
  if (rounded !== undefined)
    throw new GraphError(`gives about ${rounded}, which is beyond 2^53: float64 cannot hold it`)
  return result
}

/**
 * Computes values in float64 from what is given for inputs and parameters.
 * @throws GraphError for an input or parameter that nothing is given for, or a whole number beyond 2^53
 */
export function evaluateValues(
  values: readonly Value[],
  given: ReadonlyMap<Value, Tensor | Numbers>,
): readonly Numbers[] {
  const known = new Map([...given].map(([value, fed]) => [value, widened(fed)]))
  const lookUp = (value: Value): Numbers => {
    const found = known.get(value)
    if (found) return found
    if (value.origin.kind === 'constant') return widened(value.origin.tensor)
    const name = value.origin.kind === 'node' ? value.origin.node.operator.name : value.origin.name
    throw new GraphError(`evaluate: no value is given for '${name}'`)
  }
  for (const { operator, inputs, attributes, outputs } of ancestors(values)) {
    const operands = inputs.map((value) => (value ? lookUp(value) : undefined))
    try {
      const results = operator.evaluate(operands as Numbers[], attributes as never)
      outputs.forEach((value, i) => {
        known.set(value, exact(results[i]!))
      })
    } catch (error) {
      throw error instanceof UserError ? new GraphError(`evaluate: ${operator.name}: ${error.message}`) : error
    }
  }
  return values.map(lookUp)
}

/**
 * Computes all outputs of a graph in float64.
 * @param feeds tensors by the names of its inputs and parameters; a parameter that a file gave a value has that unless fed
 * @throws GraphError as `evaluateValues`
 */
export function evaluate(graph: Graph, feeds: ReadonlyMap<string, Tensor | Numbers>): ReadonlyMap<string, Numbers> {
  const given = new Map<Value, Tensor | Numbers>()
  for (const value of [...graph.inputs, ...graph.parameters]) {
    if (value.origin.kind !== 'input' && value.origin.kind !== 'parameter') continue
    const { name } = value.origin
    const drawn = value.origin.kind === 'parameter' && value.origin.initializer
    const fed = feeds.get(name) ?? (drawn && drawn.kind === 'given' ? drawn.tensor : undefined)
    if (fed) given.set(value, fed)
  }
  const names = [...graph.outputs.keys()]
  const results = evaluateValues([...graph.outputs.values()], given)
  return new Map(names.map((name, i) => [name, results[i]!]))
}
