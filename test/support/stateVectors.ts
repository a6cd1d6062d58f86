// Numbers in state vectors and out of them, as several steps of one run take and give them.
import { type Numbers, numbers } from '../../src/core/graph/tensor.js'
import type { StateVector } from '../../src/driver/targets/ort-webgpu/steps.js'
import type { Tensors } from './runtime.js'

const membersOf = ({ packs }: StateVector) => packs.flatMap(({ members }) => members)

/** The same feeds, with the state in vectors. */
export function vectorFeeds(vectors: readonly StateVector[], feeds: Tensors): Map<string, Numbers> {
  const held = new Map(feeds)
  for (const vector of vectors) {
    const parts = membersOf(vector).map(({ name }) => feeds.get(name)!)
    for (const { name } of membersOf(vector)) held.delete(name)
    const data = Float64Array.from(parts.flatMap(({ data }) => [...data]))
    held.set(vector.name, numbers(parts[0]!.dtype, [data.length], data))
  }
  return held
}

/** The next state, by the names of the state tensors. */
export const stateIn = (vectors: readonly StateVector[], outputs: Tensors): Map<string, Numbers> =>
  new Map(
    vectors.flatMap((vector) => {
      const { dtype, data } = outputs.get(`${vector.name}.next`)!
      let at = 0
      return membersOf(vector).map(({ name, value }): [string, Numbers] => {
        const shape = value.shape as readonly number[]
        const size = shape.reduce((product, dim) => product * dim, 1)
        at += size
        return [name, numbers(dtype, shape, data.slice(at - size, at))]
      })
    }),
  )
