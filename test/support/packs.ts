// Numbers in packs and out of them, as a step takes and gives them whose state is packed.
import { type Numbers, numbers } from '../../src/core/graph/tensor.js'
import type { Pack } from '../../src/driver/targets/gpu/packs.js'
import type { Tensors } from './runtime.js'

/** The same feeds, with the members of each pack in it. */
export function packedFeeds(packs: readonly Pack[], feeds: Tensors): Map<string, Numbers> {
  const packed = new Map(feeds)
  for (const { name, members } of packs) {
    const parts = members.map((member) => feeds.get(member.name)!)
    for (const member of members) packed.delete(member.name)
    const [{ dtype, shape }] = parts as [Numbers]
    const whole = members.length === 1 ? shape : [shape[0]! * parts.length, ...shape.slice(1)]
    packed.set(name, numbers(dtype, whole, Float64Array.from(parts.flatMap(({ data }) => [...data]))))
  }
  return packed
}

/** The next state, by the names of the state tensors. */
export const unpackedState = (packs: readonly Pack[], outputs: Tensors): Map<string, Numbers> =>
  new Map(
    packs.flatMap(({ name, members }) => {
      const { dtype, data } = outputs.get(`${name}.next`)!
      const size = data.length / members.length
      return members.map((member, i): [string, Numbers] => [
        member.name,
        numbers(dtype, member.value.shape as readonly number[], data.slice(i * size, (i + 1) * size)),
      ])
    }),
  )
