// The state of a step as its models have it: one tensor after the other in a vector.

import { elementsOf, type Tensor, type Tensors, tensorOf } from '../../../core/graph/tensor.js'
import type { HeldState } from '../target.js'
import type { StateVector } from './steps.js'

const membersOf = ({ packs }: StateVector) => packs.flatMap(({ members }) => members)

/** Tensors of one type, one after the other. */
function joined(tensors: readonly Tensor[]): Tensor {
  const [{ dtype, data: first }] = tensors as readonly [Tensor]
  const length = tensors.reduce((sum, { data }) => sum + data.length, 0)
  const data = new (first.constructor as new (length: number) => Tensor['data'])(length)
  let at = 0
  for (const { data: part } of tensors) {
    // Of one type, though TypeScript cannot tell.
    data.set(part as never, at)
    at += part.length
  }
  return tensorOf(dtype, [length], data)
}

function apart(vector: StateVector, { dtype, data }: Tensor): readonly (readonly [string, Tensor])[] {
  let at = 0
  return membersOf(vector).map(({ name, value }) => {
    const shape = value.shape as readonly number[]
    const end = at + elementsOf(shape)
    const part = data.slice(at, end) as Tensor['data']
    at = end
    return [name, tensorOf(dtype, shape, part)]
  })
}

export const heldIn = (vectors: readonly StateVector[]): HeldState => ({
  updates: Object.fromEntries(vectors.map(({ name }) => [`${name}.next`, name])),
  hold: (state: Tensors) =>
    Object.fromEntries(
      vectors.map((vector) => [vector.name, joined(membersOf(vector).map(({ name }) => state[name]!))]),
    ),
  release: (held: Tensors) => Object.fromEntries(vectors.flatMap((vector) => apart(vector, held[vector.name]!))),
})
