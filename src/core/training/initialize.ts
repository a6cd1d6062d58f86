// First values of parameters: drawn here from a seed, and as an ONNX graph that draws fresh ones anywhere.

import { type Graph, graph } from '../graph/graph.js'
import { sizeOf } from '../graph/shape.js'
import { type Tensor, tensor } from '../graph/tensor.js'
import { constant, type Initializer, type Parameter, rootScope, type Value } from '../graph/value.js'
import { expand, randomNormal, randomUniform } from '../ops/index.js'
import { type RandomStream, randomStream } from '../random.js'

function drawer(initializer: Initializer, random: RandomStream): () => number {
  switch (initializer.kind) {
    case 'normal':
      return () => initializer.std * random.normal()
    case 'uniform':
      return () => initializer.bound * (2 * random.uniform() - 1)
    case 'constant':
      return () => initializer.value
  }
}

function draw({ dtype, shape, origin }: Parameter, seed: number): Tensor {
  const next = drawer(origin.initializer, randomStream(seed, 'initialize', origin.name))
  const values = new Float64Array(Number(sizeOf(shape)))
  for (let i = 0; i < values.length; i++) values[i] = next()
  return tensor(dtype, shape as readonly number[], values)
}

/** First values of all parameters of some graphs, each from the stream of its own name: the same seed, the same numbers. */
export const initialize = (graphs: readonly Graph[], seed: number): ReadonlyMap<string, Tensor> =>
  new Map(graphs.flatMap(({ parameters }) => parameters.map((value) => [value.origin.name, draw(value, seed)])))

export interface InitializationGraph {
  /** No inputs; one output `NAME.initial` for each parameter NAME. */
  readonly graph: Graph
  /** Parameter name → output. */
  readonly initial: ReadonlyMap<string, string>
}

/** The same distributions as a graph of ONNX's random operators: what the file's `initialization` holds. */
export function initializationGraph(name: string, graphs: readonly Graph[], seed: number): InitializationGraph {
  const parameters = new Map(graphs.flatMap((source) => source.parameters.map((value) => [value.origin.name, value])))
  const outputs = new Map<string, Value>()
  const initial = new Map<string, string>()
  let index = 0
  for (const [parameterName, { dtype, shape, origin }] of parameters) {
    const size = shape as readonly number[]
    const { initializer } = origin
    const value = rootScope(`initial/${parameterName}`, () => {
      // Each draw has a seed of its own, below 2^24 so that a float holds it exactly.
      const own = (seed * 65_537 + index++) % 2 ** 24
      if (initializer.kind === 'normal') return randomNormal(size, own, { scale: initializer.std })
      if (initializer.kind === 'uniform') {
        return randomUniform(size, own, { low: -initializer.bound, high: initializer.bound })
      }
      return expand(constant(dtype, initializer.value), size)
    })
    outputs.set(`${parameterName}.initial`, value)
    initial.set(parameterName, `${parameterName}.initial`)
  }
  return { graph: graph(`${name}.initialization`, [], outputs), initial }
}
