// First values of parameters: drawn here from a seed, and as an ONNX graph that draws fresh ones anywhere.

import { type Graph, graph } from '../graph/graph.js'
import { sizeOf } from '../graph/shape.js'
import { type Tensor, tensor } from '../graph/tensor.js'
import { constant, GraphError, type Initializer, type Parameter, rootScope, type Value } from '../graph/value.js'
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
    default:
      throw new GraphError(`a parameter that is ${initializer.kind} is not drawn`)
  }
}

function draw({ dtype, shape, origin }: Parameter, seed: number): Tensor {
  if (origin.initializer.kind === 'copy') return draw(origin.initializer.of, seed)
  const next = drawer(origin.initializer, randomStream(seed, 'initialize', origin.name))
  const values = new Float64Array(Number(sizeOf(shape)))
  for (let i = 0; i < values.length; i++) values[i] = next()
  return tensor(dtype, shape as readonly number[], values)
}

/** The parameter whose first values a parameter has. */
const source = (parameter: Parameter): Parameter =>
  parameter.origin.initializer.kind === 'copy' ? source(parameter.origin.initializer.of) : parameter

/**
 * First values of all parameters of some graphs, each from the stream of its own name: the same seed, the same numbers.
 * @param given values that are there already, by name
 * @throws GraphError for a parameter that comes from a file and whose values are not given
 */
export const initialize = (
  graphs: readonly Graph[],
  seed: number,
  given: ReadonlyMap<string, Tensor> = new Map(),
): ReadonlyMap<string, Tensor> =>
  new Map(
    graphs.flatMap(({ parameters }) =>
      parameters.map((value) => {
        const known = given.get(value.origin.name) ?? given.get(source(value).origin.name)
        return [value.origin.name, known ?? draw(value, seed)]
      }),
    ),
  )

export interface InitializationGraph {
  /** No inputs; one output `NAME.initial` for each parameter NAME. */
  readonly graph: Graph
  /** Parameter name → output. */
  readonly initial: ReadonlyMap<string, string>
}

/** The same distributions as a graph of ONNX's random operators: what the file's `initialization` holds. */
export function initializationGraph(name: string, graphs: readonly Graph[], seed: number): InitializationGraph {
  const parameters = new Map(graphs.flatMap((source) => source.parameters.map((value) => [value.origin.name, value])))
  const drawn = new Map<string, Value>()
  const drawing = (parameter: Parameter): Value | undefined => {
    const { dtype, shape, origin } = parameter
    const { name, initializer } = origin
    const size = shape as readonly number[]
    // Each draw has a seed of its own, below 2^24 so that a float holds it exactly.
    const own = (seed * 65_537 + drawn.size) % 2 ** 24
    switch (initializer.kind) {
      case 'normal':
        return rootScope(`initial/${name}`, () => randomNormal(size, own, { scale: initializer.std }))
      case 'uniform': {
        const range = { low: -initializer.bound, high: initializer.bound }
        return rootScope(`initial/${name}`, () => randomUniform(size, own, range))
      }
      case 'constant':
        return rootScope(`initial/${name}`, () => expand(constant(dtype, initializer.value), size))
      case 'copy':
        return drawnOnce(initializer.of)
      case 'given':
        // It keeps the value in the file.
        return undefined
    }
  }
  const drawnOnce = (parameter: Parameter): Value | undefined => {
    const value = drawn.get(parameter.origin.name) ?? drawing(parameter)
    if (value) drawn.set(parameter.origin.name, value)
    return value
  }
  const found = [...parameters].flatMap(([parameterName, parameter]): [string, Value][] => {
    const value = drawnOnce(parameter)
    return value ? [[parameterName, value]] : []
  })
  return {
    graph: graph(`${name}.initialization`, [], new Map(found.map(([of, value]) => [`${of}.initial`, value]))),
    initial: new Map(found.map(([of]) => [of, `${of}.initial`])),
  }
}
