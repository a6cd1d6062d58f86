// First values of parameters: drawn here from a seed, and as an ONNX graph that draws fresh ones anywhere.

import { type Graph, graph } from '../graph/graph.js'
import { sizeOf } from '../graph/shape.js'
import { type DType, type Tensor, tensor } from '../graph/tensor.js'
import { constant, GraphError, type Initializer, type Parameter, rootScope, type Value } from '../graph/value.js'
import { concat, expand, randomNormal, randomUniform } from '../ops/index.js'
import { type RandomStream, randomStream } from '../random.js'

function drawer(initializer: Initializer, random: RandomStream): () => number {
  switch (initializer.kind) {
    case 'normal':
      return () => initializer.std * random.normal()
    case 'uniform':
      return () => initializer.bound * (2 * random.uniform() - 1)
    case 'constant':
      return () => initializer.value
    case 'values': {
      let next = 0
      return () => initializer.values[next++]!
    }
    default:
      throw new GraphError(`a parameter that is ${initializer.kind} is not drawn`)
  }
}

function draw({ dtype, shape, origin }: Parameter, seed: number): Tensor {
  if (origin.initializer.kind === 'copy') return draw(origin.initializer.of, seed)
  if (origin.initializer.kind === 'given') return origin.initializer.tensor
  const random = randomStream(seed, 'initialize', origin.name)
  const size = shape as readonly number[]
  return tensor(dtype, size, drawAll(origin.initializer, size, random))
}

function drawAll(initializer: Initializer, shape: readonly number[], random: RandomStream): Float64Array {
  const values = new Float64Array(Number(sizeOf(shape)))
  if (initializer.kind === 'stacked') {
    const [first, rest] = stackedShapes(initializer.rows, shape)
    values.set(drawAll(initializer.first, first, random))
    values.set(drawAll(initializer.rest, rest, random), Number(sizeOf(first)))
    return values
  }
  const next = drawer(initializer, random)
  for (let i = 0; i < values.length; i++) values[i] = next()
  return values
}

const stackedShapes = (rows: number, [all, ...inner]: readonly number[]) =>
  [
    [rows, ...inner],
    [all! - rows, ...inner],
  ] as const

/** The parameter whose first values a parameter has. */
const source = (parameter: Parameter): Parameter =>
  parameter.origin.initializer.kind === 'copy' ? source(parameter.origin.initializer.of) : parameter

/**
 * First values of all parameters of some graphs, each from the stream of its own name: the same seed, the same numbers. A parameter
 * of a file has the file's.
 * @param given other values that are there already, by name
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

/** The numbers in operators; undefined for what keeps the value in the file. */
function drawnBy(initializer: Initializer, shape: readonly number[], dtype: DType, seed: number): Value | undefined {
  switch (initializer.kind) {
    case 'normal':
      return randomNormal(shape, seed, { scale: initializer.std })
    case 'uniform':
      return randomUniform(shape, seed, { low: -initializer.bound, high: initializer.bound })
    case 'constant':
      return expand(constant(dtype, initializer.value), shape)
    case 'values':
      return expand(constant(dtype, initializer.values, shape), shape)
    case 'stacked': {
      const [first, rest] = stackedShapes(initializer.rows, shape)
      const parts = [drawnBy(initializer.first, first, dtype, seed), drawnBy(initializer.rest, rest, dtype, seed)]
      return concat(parts as readonly Value[], 0)
    }
    case 'copy':
    case 'given':
      return undefined
  }
}

/**
 * What {@link initialize} draws, from the same distributions, as a graph of ONNX's random operators: a file's `initialization`.
 * @param givenToo whether the values of parameters that a file gave come out as well; else they are left out, since nothing draws them
 */
export function initializationGraph(
  name: string,
  graphs: readonly Graph[],
  seed: number,
  givenToo = false,
): InitializationGraph {
  const parameters = new Map(graphs.flatMap((source) => source.parameters.map((value) => [value.origin.name, value])))
  const drawn = new Map<string, Value>()
  const drawing = (parameter: Parameter): Value | undefined => {
    const { dtype, shape, origin } = parameter
    const { name, initializer } = origin
    if (initializer.kind === 'copy') return drawnOnce(initializer.of)
    if (initializer.kind === 'given') return givenToo ? parameter : undefined
    // Each draw has a seed of its own, below 2^24 so that a float holds it exactly.
    const own = (seed * 65_537 + drawn.size) % 2 ** 24
    return rootScope(`initial/${name}`, () => drawnBy(initializer, shape as readonly number[], dtype, own))
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
