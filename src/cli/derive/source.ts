// The network that rdm-derive is to work on, up to the value that its loss is for.

import { UserError } from '../../core/errors.js'
import type { Graph } from '../../core/graph/graph.js'
import { type NetworkOptions, readNetwork } from '../../core/onnx/network.js'
import { ModelError } from '../../core/onnx/refusals.js'

export interface ReadFile {
  readonly file: Graph
  /** Operators behind the value that the network ends at. */
  readonly leftOut: readonly string[]
}

/** The network of a file; where it has no such output, or others than that cannot be read, it ends at the value of that name. */
export function readUpTo(bytes: Uint8Array, output: string | undefined, options: NetworkOptions): ReadFile {
  try {
    const file = readNetwork(bytes, options)
    if (output === undefined || file.outputs.has(output)) return { file, leftOut: [] }
  } catch (error) {
    if (!(error instanceof ModelError)) throw error
    if (output === undefined)
      throw new UserError(`${error.message}; --output NAME ends the network at a value before it`)
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
