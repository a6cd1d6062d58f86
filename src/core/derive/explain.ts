// What a network of a file is, what of it trains, and what stands in the way.

import { messageOf, UserError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { formatType, nameOf, type Parameter } from '../graph/value.js'
import { type StepOptions, trainingStep } from '../training/step.js'

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
  /** Weights and running statistics, in the order of the file. */
  readonly weights: readonly Weight[]
  /** Why it cannot train as it is; none where it can. */
  readonly obstacle?: string
}

const described = ({ shape, origin: { name, trainable } }: Parameter): Weight => {
  const sizes = shape as readonly number[]
  return { name, shape: sizes, count: sizes.reduce((product, size) => product * size, 1), trains: trainable }
}

/**
 * @param network as `prepared` gives it
 * @param options what it is to be trained with
 */
export function explained(network: Graph, options: () => StepOptions): Explanation {
  const said = {
    inputs: network.inputs.map((value) => `${nameOf(value)} ${formatType(value)}`),
    outputs: [...network.outputs].map(([name, value]) => `${name} ${formatType(value)}`),
    nodes: network.nodes.length,
    weights: network.parameters.map(described),
  }
  try {
    trainingStep(network, options())
    return said
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return { ...said, obstacle: messageOf(error) }
  }
}
