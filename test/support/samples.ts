// A sample of an operator record, drawn and put into a graph.
import type { Operator } from '../../src/graph/operator.js'
import type { Tensor } from '../../src/graph/tensor.js'
import { apply, constantTensor, input, type Value } from '../../src/graph/value.js'
import { randomStream } from '../../src/random.js'

export interface Trial {
  readonly inputs: readonly (Value | undefined)[]
  readonly outputs: readonly Value[]
  readonly feeds: ReadonlyMap<Value, Tensor>
}

/** Inputs x0, x1, … (constants stay constants) and the operator applied to them. */
export function trial(operator: Operator, index: number, replace?: (type: Tensor) => Tensor): Trial {
  const sample = operator.samples[index]!
  const random = randomStream(7, operator.name, index)
  const feeds = new Map<Value, Tensor>()
  const inputs = sample.inputs.map((drawn, i) => {
    if (!drawn) return undefined
    const tensor = drawn.draw(random)
    if (drawn.constant) return constantTensor(tensor)
    const given = replace ? replace(tensor) : tensor
    const value = input(`x${i}`, given.dtype, given.shape)
    feeds.set(value, given)
    return value
  })
  return { inputs, outputs: apply(operator, inputs, sample.attributes ?? {}), feeds }
}

export const rows = (all: readonly Operator[]): { name: string; operator: Operator; index: number }[] =>
  all.flatMap((operator) =>
    operator.samples.map((_, index) => ({ name: `${operator.name} #${index}`, operator, index })),
  )
