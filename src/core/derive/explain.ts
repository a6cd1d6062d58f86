// What a network of a file is, what of it trains, and all that stands in the way.

import { UserError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { isStatic } from '../graph/shape.js'
import { formatType, nameOf, type Parameter } from '../graph/value.js'
import { type BackwardOptions, backward } from '../training/backward.js'

export interface Weight {
  readonly name: string
  readonly shape: readonly number[]
  readonly count: number
  readonly trains: boolean
}

export interface Explanation {
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly nodes: number
  /** Inputs with sizes beside the batch that only the run knows: `image=batch,3,height,width`. */
  readonly openInputs: readonly string[]
  /** Weights and running statistics, in the order of their use. */
  readonly weights: readonly Weight[]
  /** Why it cannot train as it is, node by node; none where it can. */
  readonly obstacles: readonly string[]
}

const described = ({ shape, origin: { name, trainable } }: Parameter): Weight => {
  const sizes = shape as readonly number[]
  return { name, shape: sizes, count: sizes.reduce((product, size) => product * size, 1), trains: trainable }
}

/** Every reason why a network does not train by this loss. */
function obstaclesOf(network: Graph, options: BackwardOptions): readonly string[] {
  const obstacles: string[] = []
  try {
    backward(network, { ...options, refused: ({ message }) => obstacles.push(message) })
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    obstacles.push(error.message)
  }
  return obstacles
}

/** @param network as `prepared` gives it */
export const explained = (network: Graph, options: BackwardOptions): Explanation => ({
  inputs: network.inputs.map((value) => `${nameOf(value)} ${formatType(value)}`),
  outputs: [...network.outputs].map(([name, value]) => `${name} ${formatType(value)}`),
  nodes: network.nodes.length,
  openInputs: network.inputs
    .filter(({ shape: [, ...sizes] }) => !isStatic(sizes))
    .map((value) => `${nameOf(value)}=${value.shape.join()}`),
  weights: network.parameters.map(described),
  obstacles: obstaclesOf(network, options),
})
