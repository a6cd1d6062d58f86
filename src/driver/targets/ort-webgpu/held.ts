// The state of a step as its models have it: tensors of one shape that are updated alike, one after the other in a pack.

import { type Tensor, tensorOf } from '../../../core/graph/tensor.js'
import type { Pack } from '../gpu/packs.js'
import type { HeldState } from '../target.js'

/** Tensors of one shape, one after the other. */
function joined(tensors: readonly Tensor[]): Tensor {
  const [first] = tensors as readonly [Tensor]
  if (tensors.length === 1) return first
  const size = first.data.length
  const data = new (first.data.constructor as new (length: number) => Tensor['data'])(size * tensors.length)
  // Of one type, though TypeScript cannot tell.
  for (const [i, { data: part }] of tensors.entries()) data.set(part as never, i * size)
  return tensorOf(first.dtype, [first.shape[0]! * tensors.length, ...first.shape.slice(1)], data)
}

function apart({ dtype, shape, data }: Tensor, count: number): readonly Tensor[] {
  if (count === 1) return [tensorOf(dtype, shape, data)]
  const own = [shape[0]! / count, ...shape.slice(1)]
  const size = data.length / count
  return Array.from({ length: count }, (_, i) =>
    tensorOf(dtype, own, data.slice(i * size, (i + 1) * size) as Tensor['data']),
  )
}

export const heldIn = (packs: readonly Pack[]): HeldState => ({
  updates: Object.fromEntries(packs.map(({ name }) => [`${name}.next`, name])),
  hold: (state) =>
    Object.fromEntries(packs.map(({ name, members }) => [name, joined(members.map((member) => state[member.name]!))])),
  release: (held) =>
    Object.fromEntries(
      packs.flatMap(({ name, members }) => {
        const parts = apart(held[name]!, members.length)
        return members.map((member, i): [string, Tensor] => [member.name, parts[i]!])
      }),
    ),
})
