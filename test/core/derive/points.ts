// Where derivatives of the fixtures' networks are taken: values of inputs and weights, directions, seeds.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Graph } from '../../../src/core/graph/graph.js'
import { type Numbers, numbers, widen } from '../../../src/core/graph/tensor.js'
import { nameOf } from '../../../src/core/graph/value.js'
import { randomStream } from '../../../src/core/random.js'
import type { Tensors } from '../../support/runtime.js'

export type Shapes = Readonly<Record<string, readonly number[]>>
export type Ranges = Readonly<Record<string, readonly [number, number]>>

const fixtures = join(import.meta.dirname, '..', '..', 'fixtures')
export const fileOf = (name: string) => readFileSync(join(fixtures, `${name}.onnx`))
export const json = (name: string) => JSON.parse(readFileSync(join(fixtures, `${name}.json`), 'utf8'))

const sizeOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1)

/** Values of the inputs and weights, and a direction at each of `wrt`. */
export function pointOf(network: Graph, shapes: Shapes, range: Ranges, wrt: readonly string[]) {
  const random = randomStream(1, network.name)
  const drawn = (shape: readonly number[], next: () => number) =>
    Float64Array.from({ length: sizeOf(shape) }, () => next())
  const at = new Map<string, Numbers>()
  for (const value of network.inputs) {
    const [name, given] = [nameOf(value), range[nameOf(value)]]
    const next = () => (given ? given[0] + Math.floor(random.uniform() * (given[1] - given[0])) : random.normal())
    at.set(name, numbers(value.dtype, shapes[name]!, drawn(shapes[name]!, next)))
  }
  for (const { origin } of network.parameters)
    if (origin.initializer.kind === 'given') at.set(origin.name, widen(origin.initializer.tensor))
  const directions = new Map(
    wrt.map((name) => {
      const { dtype, shape } = at.get(name)!
      return [
        name,
        numbers(
          dtype,
          shape,
          drawn(shape, () => random.normal()),
        ),
      ]
    }),
  )
  /** So far along the direction. */
  const along = (step: number): Tensors =>
    new Map(
      [...at].map(([name, value]) => {
        const direction = directions.get(name)?.data
        return [name, direction ? { ...value, data: value.data.map((x, i) => x + step * direction[i]!) } : value]
      }),
    )
  const seedsOf = (outputs: Tensors) =>
    new Map(
      [...outputs].map(([name, { dtype, shape }]) => [
        name,
        numbers(
          dtype,
          shape,
          drawn(shape, () => random.normal()),
        ),
      ]),
    )
  return { along, directions, seedsOf }
}
