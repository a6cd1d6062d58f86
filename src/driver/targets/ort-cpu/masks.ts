// First pass: what is 1 on one side of a bound and 0 on the other, without the bools between. ONNX Runtime computes Less, Greater
// and Cast in one thread, and bools have no blocked layout; HardSigmoid is one pass by all threads.

import type { Graph } from '../../../core/graph/graph.js'
import { rewrite } from '../../../core/graph/rewrite.js'
import { constantOf, nodeOf, type Value } from '../../../core/graph/value.js'
import { Cast, Greater, hardSigmoid, Less } from '../../../core/ops/index.js'

/**
 * max(0, min(1, a·x + b)) is the mask for every normal float32: just above 0 lies 1.2e-38, just below 1 is 1 − 6e-8, and 6e30 is
 * still more than half of the distance between floats at 1e38.
 */
const HUGE = 1e38

function maskOf(condition: Value): Value | undefined {
  const node = nodeOf(condition)
  const [x, bound] = node?.inputs ?? []
  const at = constantOf(bound)
  if (!node || x?.dtype !== 'float32' || at?.length !== 1 || bound!.shape.length > x.shape.length) return undefined
  if (node.operator === Greater && at[0] === 0) return hardSigmoid(x, { alpha: HUGE, beta: 0 })
  if (node.operator === Less && at[0] === 0) return hardSigmoid(x, { alpha: -HUGE, beta: 0 })
  if (node.operator === Less && at[0] === 1) return hardSigmoid(x, { alpha: -HUGE, beta: HUGE })
  return undefined
}

export const withoutBools = (source: Graph): Graph =>
  rewrite(source, (node, [condition]) => {
    const mask =
      node.operator === Cast && node.outputs[0]!.dtype === 'float32' && condition!.dtype === 'bool'
        ? maskOf(condition!)
        : undefined
    return mask && [mask]
  })
