// One convolution or gradient by itself, written by one of its candidates: what a tuner times.

import { type Graph, graph } from '../../../core/graph/graph.js'
import { apply1, input } from '../../../core/graph/value.js'
import { reduceMean, reshape } from '../../../core/ops/index.js'
import type { Call } from './candidates.js'
import { ortCpu } from './index.js'
import { layoutBy } from './layout.js'
import { nchwc } from './nchwc.js'

/** Whether the result is an activation with channels in whole blocks: what follows gains where it is left in them. */
export function staysInBlocks(call: Call, block: number): boolean {
  if (call.operator.name === 'ConvWeightGrad') return false
  return layoutBy(nchwc(block)).fits(apply1(call.operator, operandsOf(call), call.attributes))
}

const operandsOf = ({ operands }: Call) => operands.map(({ dtype, shape }, i) => input(`x${i}`, dtype, shape))

/**
 * The call with operands x0, x1, … that come in the layouts that it had, and its result in the layout that it can have.
 * The one output is their mean, so that no time goes into copying a result out.
 */
export function trialGraph(call: Call, name: string, block: number): Graph {
  const { operator, attributes, operands } = call
  const layout = layoutBy(nchwc(block))
  const inputs = operandsOf(call)
  const seen = inputs.map((value, i) => (operands[i]!.blocked ? layout.plain(value) : value))
  const y = apply1(operator, seen, attributes)
  const { outputs } = ortCpu({ block, choose: () => name }).lower(graph('trial', inputs, { y }))
  const result = outputs.get('y')!
  const taken = staysInBlocks(call, block) ? layout.blocked(result) : result
  return graph('trial', inputs, { mean: reduceMean(reshape(taken, [-1]), [0], { keepdims: 0 }) })
}
