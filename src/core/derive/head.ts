// A fresh last layer for other classes.

import { UserError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { rewrite } from '../graph/rewrite.js'
import { GraphError, parameter, rootScope, type Value } from '../graph/value.js'
import { inputsOf, lastLinear, type Part } from './linear.js'

/** The names of the weights that `withHead` draws anew; none where there is no such layer. */
export const headNames = (network: Graph): readonly string[] =>
  (lastLinear(network.nodes) ?? []).map(({ weight }) => weight.origin.name)

/**
 * The same network with a fresh last linear layer or 1×1 convolution: for so many classes, its weights drawn as
 * torch.nn.Linear draws them, evenly within ±1/√inputs. Their names stay.
 * @throws UserError where no layer of that kind leads to the output, or its weights are used elsewhere
 */
export function withHead(network: Graph, classes: number): Graph {
  const { nodes } = network
  const parts = lastLinear(nodes)
  if (!parts)
    throw new UserError(
      `${network.name || 'the network'} has no linear layer (Gemm, MatMul, 1×1 Conv) with weights of its own; a head cannot be replaced`,
    )
  const [first] = parts as [Part]
  const before = first.weight.shape[first.axis]!
  const bound = 1 / Math.sqrt(inputsOf(first))
  const leaves = new Map<Value, Value>()
  for (const part of parts) {
    const { shape, dtype, origin } = part.weight
    const uses = nodes.filter((node) => node.inputs.includes(part.weight)).length
    if (uses > 1)
      throw new UserError(
        `'${origin.name}' of the last layer is used in ${uses} places; a head that shares weights cannot be replaced`,
      )
    const sizes = (shape as readonly number[]).map((size, i) => (i === part.axis ? classes : size))
    leaves.set(
      part.weight,
      rootScope('', () => parameter(origin.name, sizes, { kind: 'uniform', bound }, { dtype })),
    )
  }
  try {
    return rewrite(network, () => undefined, { leaves })
  } catch (error) {
    if (!(error instanceof GraphError)) throw error
    throw new UserError(`what follows the last layer is made for ${before} classes: ${error.message}`)
  }
}
