// The parts of a residual network that paths are made of.
import type { Graph } from '../src/core/graph/graph.js'
import type { Value } from '../src/core/graph/value.js'

/** output = activation(sum), sum = shortcut(input) + survival · Σ function(input) */
export interface ResidualBlock {
  readonly input: Value
  /** The input itself where its shape stays. */
  readonly shortcut: Value
  readonly functions: readonly Value[]
  /** What stochastic depth scales the functions by, in inference; else 1. */
  readonly survival: number
  readonly sum: Value
  readonly output: Value
}

export interface BlockNetwork {
  /** `images` → `logits` [batch, classes], in inference form. */
  readonly graph: Graph
  /** The normalised images: float32 [batch, 3, height, width]. */
  readonly pixels: Value
  /** At least one; the input of each is the output of the one before. */
  readonly blocks: readonly ResidualBlock[]
}
