// How many steps a run takes. The binding of ONNX Runtime for Node copies every output into new memory: 3 to 8 ms for 16 MB, and a
// step gives its whole state back. What a Loop carries is not copied, so several steps in one run share one copy.

import type { Graph } from '../../../core/graph/graph.js'
import type { Shape } from '../../../core/graph/shape.js'
import { bytesOf, type Tensors } from '../../../core/graph/tensor.js'
import { flopsOf } from '../../profile/flops.js'

/** Bytes a millisecond that a copy moves into memory that is new: at the fast end of what was measured. */
const COPIED = 5e6
/** Floating-point operations a millisecond: of a slow machine, so that a run does not take longer than is meant. */
const COMPUTED = 1e8
/** Progress is told after each run, and a run that is stopped waits for it. */
const LONGEST_RUN_MS = 1000
/** The copy is little then. */
const MOST = 8
/** Part of a step's time below which its copy is not worth a loop. */
const WORTH = 0.01

/**
 * @param step lowered, with static shapes
 * @param state what it carries
 */
export function stepsPerRunOf(step: Graph, state: Tensors): number {
  const sizes = (values: readonly ({ readonly shape: Shape } | undefined)[]) =>
    values.map((value) => (value?.shape ?? []) as readonly number[])
  const flops = step.nodes.reduce(
    (sum, { operator, inputs, outputs }) => sum + flopsOf(operator.name, sizes(inputs), sizes(outputs)),
    0,
  )
  const bytes = Object.values(state).reduce((sum, { data }) => sum + bytesOf(data).length, 0)
  const [computing, copying] = [flops / COMPUTED, bytes / COPIED]
  if (copying < WORTH * computing) return 1
  return Math.max(1, Math.min(MOST, Math.floor(LONGEST_RUN_MS / computing)))
}
