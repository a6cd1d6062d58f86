// A fresh last layer for other classes.

import { UserError } from '../errors.js'
import { ancestors, type Graph } from '../graph/graph.js'
import { rewrite } from '../graph/rewrite.js'
import { isKnown } from '../graph/shape.js'
import {
  GraphError,
  isParameter,
  type Node,
  nodeOf,
  type Parameter,
  parameter,
  rootScope,
  type Value,
} from '../graph/value.js'
import { Add, Conv, Gemm, Identity, MatMul, Transpose } from '../ops/index.js'

/** A weight of the last layer, and which of its axes counts classes. */
interface Part {
  readonly weight: Parameter
  readonly axis: number
}

/** The parameter behind an operand, through transpositions; undefined where it is none. */
function parameterBehind(value: Value | undefined, axis: number): Part | undefined {
  if (!value) return undefined
  if (isParameter(value)) return { weight: value, axis: axis < 0 ? axis + value.shape.length : axis }
  const node = nodeOf(value)
  if (node?.operator === Identity) return parameterBehind(node.inputs[0], axis)
  if (node?.operator !== Transpose) return undefined
  const order = node.attributes.perm as readonly number[] | undefined
  const last = value.shape.length - 1
  const own = axis < 0 ? axis + value.shape.length : axis
  return parameterBehind(node.inputs[0], order ? order[own]! : last - own)
}

const isPointwise = ({ shape }: Value): boolean => shape.slice(2).every((size) => size === 1)

/** [classes], or [1, classes]. */
const isVector = ({ weight, axis }: Part): boolean => weight.shape.every((size, i) => i === axis || size === 1)

/** The weights of a layer that is linear in its input. */
function partsOf({ operator, inputs, attributes }: Node): readonly Part[] | undefined {
  const [a, w, b] = inputs
  const found = (...parts: readonly (Part | undefined)[]) => parts.filter((part) => part !== undefined)
  if (operator === Gemm) {
    const weight = parameterBehind(w, attributes.transB ? 0 : 1)
    return weight && found(weight, parameterBehind(b, -1))
  }
  if (operator === Conv && isPointwise(w!) && attributes.group === 1) {
    const weight = parameterBehind(w, 0)
    return weight && found(weight, parameterBehind(b, 0))
  }
  if (operator === MatMul) {
    const weight = w!.shape.length === 2 ? parameterBehind(w, 1) : undefined
    return weight && found(weight)
  }
  if (operator === Add) {
    const bias = [a, w].map((value) => parameterBehind(value, -1)).find((part) => part && isVector(part))
    const product = [a, w].map(nodeOf).find((node) => node && (node.operator === MatMul || node.operator === Conv))
    const parts = bias && product && partsOf(product)
    return parts && found(...parts, bias)
  }
  return undefined
}

/**
 * The same network with a fresh last linear layer or 1×1 convolution: for so many classes, its weights drawn as
 * torch.nn.Linear draws them, evenly within ±1/√inputs. Their names stay.
 * @throws UserError where no layer of that kind leads to the output, or its weights are used elsewhere
 */
export function withHead(network: Graph, classes: number): Graph {
  const nodes = ancestors(network.outputs.values())
  const last = nodes.findLast((node) => partsOf(node))
  const parts = last && partsOf(last)
  if (!parts)
    throw new UserError(
      `${network.name || 'the network'} has no linear layer (Gemm, MatMul, 1×1 Conv) with weights of its own; a head cannot be replaced`,
    )
  const [{ weight, axis }] = parts as [Part]
  const before = weight.shape[axis]!
  const inputs = weight.shape.reduce<number>(
    (count, size, i) => (i === axis || !isKnown(size) ? count : count * size),
    1,
  )
  const bound = 1 / Math.sqrt(inputs)
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
