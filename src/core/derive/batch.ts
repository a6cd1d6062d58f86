// A batch of any size where a file has one of its own.

import { UserError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { rewrite } from '../graph/rewrite.js'
import { isKnown } from '../graph/shape.js'
import { constantOf, input, nameOf, type Value } from '../graph/value.js'
import { Reshape, reshape } from '../ops/index.js'

/**
 * The same network for batches of any size. Exporters write the size of the batch into the targets of Reshapes: there it is the size
 * that comes in.
 * @returns undefined where the network holds for its own size alone, or its inputs begin with different sizes
 */
export function withOpenBatch(network: Graph): Graph | undefined {
  const sizes = new Set(network.inputs.map(({ shape: [first] }) => first))
  const [size] = sizes
  if (sizes.size !== 1 || size === undefined) return undefined
  if (!isKnown(size)) return network
  const leaves = new Map<Value, Value>(
    network.inputs.map((value) => [value, input(nameOf(value), value.dtype, ['batch', ...value.shape.slice(1)])]),
  )
  const isOpen = (value: Value | undefined) => value?.shape[0] === 'batch'
  try {
    const opened = rewrite(
      network,
      ({ operator }, [x, target]) => {
        const sizes = operator === Reshape && isOpen(x) ? constantOf(target) : undefined
        return sizes?.[0] === size && !sizes.includes(0) ? [reshape(x!, [0, ...sizes.slice(1)])] : undefined
      },
      { leaves },
    )
    return [...opened.outputs].every(([name, value]) => isOpen(value) || network.outputs.get(name)!.shape[0] !== size)
      ? opened
      : undefined
  } catch (error) {
    if (error instanceof UserError) return undefined
    throw error
  }
}
