// The network of a file, up to the value that its loss is for.

import type { Graph } from '../graph/graph.js'
import { type NetworkOptions, readNetwork } from '../onnx/network.js'
import { ModelError } from '../onnx/refusals.js'

export interface ReadFile {
  readonly file: Graph
  /** Operators behind the value that the network ends at. */
  readonly leftOut: readonly string[]
}

/**
 * The network of a file; where it has no such output, or others than that cannot be read, it ends at the value of that name.
 * @throws UserError as `readNetwork` does: ModelError for what cannot be read
 */
export function readUpTo(bytes: Uint8Array, output: string | undefined, options: NetworkOptions): ReadFile {
  try {
    const file = readNetwork(bytes, options)
    if (output === undefined || file.outputs.has(output)) return { file, leftOut: [] }
  } catch (error) {
    if (!(error instanceof ModelError) || output === undefined) throw error
  }
  let leftOut: readonly string[] = []
  const file = readNetwork(bytes, {
    ...options,
    outputs: [output],
    leftOut(operators) {
      leftOut = operators
    },
  })
  return { file, leftOut }
}
