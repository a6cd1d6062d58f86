// A batch of any size where a file has one of its own.

import { UserError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { rewrite } from '../graph/rewrite.js'
import { isKnown, sizeOf } from '../graph/shape.js'
import { constantOf, input, nameOf, type Value } from '../graph/value.js'
import { Reshape, reshape } from '../ops/index.js'

const BATCH = 'batch'

/** Whether a size grows with the batch. */
const grows = (value: Value | undefined): boolean => value !== undefined && String(sizeOf(value.shape)).includes(BATCH)
const isOpen = (value: Value | undefined): boolean => value?.shape[0] === BATCH

/**
 * The target of a Reshape for any batch, where exporters wrote one: the batch is outermost, and the first size is what is left, or
 * what comes in where something else is left.
 */
function openTarget(x: Value, target: readonly number[], size: number): readonly number[] | undefined {
  const [first, ...others] = target
  if (first === undefined || first < 1) return undefined
  if (!others.includes(-1)) return [-1, ...others]
  return first === size && isOpen(x) ? [0, ...others] : undefined
}

/**
 * The same network for batches of any size, where a file has one size.
 * @returns undefined where the network holds for its own size alone, or its inputs begin with different sizes
 */
export function withOpenBatch(network: Graph): Graph | undefined {
  const sizes = new Set(network.inputs.map(({ shape: [first] }) => first))
  const [size] = sizes
  if (sizes.size !== 1 || size === undefined || !isKnown(size)) return undefined
  const leaves = new Map<Value, Value>(
    network.inputs.map((value) => [value, input(nameOf(value), value.dtype, [BATCH, ...value.shape.slice(1)])]),
  )
  try {
    const opened = rewrite(
      network,
      ({ operator, attributes }, [x, target]) => {
        const said = operator === Reshape && grows(x) ? constantOf(target) : undefined
        const isPlain = said && !(attributes.allowzero && said.includes(0))
        const open = isPlain ? openTarget(x!, said, size) : undefined
        return open && [reshape(x!, open)]
      },
      { leaves },
    )
    // A Reshape that still makes one size of all batches would fail when it runs.
    const isWhole = opened.nodes.every(
      ({ operator, inputs: [x], outputs: [y] }) => operator !== Reshape || grows(x) === grows(y),
    )
    const outputs = [...opened.outputs]
    const isKept = outputs.every(([name, value]) => isOpen(value) || network.outputs.get(name)!.shape[0] !== size)
    return isWhole && isKept && outputs.some(([, value]) => isOpen(value)) ? opened : undefined
  } catch (error) {
    if (error instanceof UserError) return undefined
    throw error
  }
}
