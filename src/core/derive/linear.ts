// Layers that are linear in their input, and the parameters that are theirs.

import { isKnown } from '../graph/shape.js'
import { isParameter, type Node, nodeOf, type Parameter, type Value } from '../graph/value.js'
import { Add, Conv, Gemm, Identity, MatMul, Transpose } from '../ops/index.js'

/** A parameter of a layer, and which of its axes counts outputs. */
export interface Part {
  readonly weight: Parameter
  readonly axis: number
  /** For each axis of the operand that it is, the parameter's axis. */
  readonly order: readonly number[]
}

const views: ReadonlySet<unknown> = new Set<unknown>([Identity, Transpose])
/** Whether a node gives its operand with its axes in some order. */
export const isView = ({ operator }: Node): boolean => views.has(operator)

/**
 * The parameter behind an operand, through transpositions; undefined where it is none.
 * @param axis of the operand, from the last where it is negative
 */
function parameterBehind(value: Value | undefined, axis: number): Part | undefined {
  if (!value) return undefined
  const axes = [...value.shape.keys()]
  const own = axis < 0 ? axis + axes.length : axis
  if (isParameter(value)) return { weight: value, axis: own, order: axes }
  const node = nodeOf(value)
  if (!node || !isView(node)) return undefined
  const given = (node.attributes.perm as readonly number[] | undefined) ?? axes.toReversed()
  const perm = node.operator === Transpose ? given : axes
  const behind = parameterBehind(node.inputs[0], perm[own]!)
  return behind && { ...behind, order: perm.map((at) => behind.order[at]!) }
}

/** The weight of a node that is linear in its first operand: a Gemm, a MatMul by a matrix, a Conv without groups. */
export function weightOf({ operator, inputs: [, w], attributes }: Node): Part | undefined {
  if (operator === Gemm) return parameterBehind(w, attributes.transB ? 0 : 1)
  if (operator === Conv) return attributes.group === 1 ? parameterBehind(w, 0) : undefined
  if (operator === MatMul) return w!.shape.length === 2 ? parameterBehind(w, 1) : undefined
  return undefined
}

/** [outputs], or [1, outputs]. */
const isVector = ({ weight, axis }: Part): boolean => weight.shape.every((size, i) => i === axis || size === 1)

/** The bias of a Gemm, a Conv, or of an Add. */
const biasOf = ({ operator, inputs: [a, w, b] }: Node): Part | undefined => {
  if (operator === Gemm) return parameterBehind(b, -1)
  if (operator === Conv) return parameterBehind(b, 0)
  if (operator !== Add) return undefined
  return [a, w].map((value) => parameterBehind(value, -1)).find((part) => part && isVector(part))
}

const isPointwise = ({ shape }: Value): boolean => shape.slice(2).every((size) => size === 1)

/** Weight and bias of a layer that ends in the node: a linear layer or a 1×1 convolution, its bias in it or added to it. */
export function partsOf(node: Node): readonly Part[] | undefined {
  const { operator, inputs } = node
  const found = (...parts: readonly (Part | undefined)[]) => parts.filter((part) => part !== undefined)
  if (operator === Add) {
    const bias = biasOf(node)
    const product = inputs.map(nodeOf).find((made) => made && (made.operator === MatMul || made.operator === Conv))
    const parts = bias && product && partsOf(product)
    return parts && found(...parts, bias)
  }
  if (operator === Conv && !isPointwise(inputs[1]!)) return undefined
  const weight = weightOf(node)
  return weight && found(weight, biasOf(node))
}

/** The last layer of that kind before the outputs, by its nodes in topological order. */
export const lastLinear = (nodes: readonly Node[]): readonly Part[] | undefined => {
  const last = nodes.findLast((node) => partsOf(node))
  return last && partsOf(last)
}

/** How many numbers a layer adds up for one output. */
export const inputsOf = ({ weight, axis }: Pick<Part, 'weight' | 'axis'>): number =>
  weight.shape.reduce<number>((count, size, i) => (i === axis || !isKnown(size) ? count : count * size), 1)

const prefixOf = (name: string): string | undefined => /^(.+)[./][^./]+$/.exec(name)?.[1]

/**
 * What a layer is called: as its weight or its bias without the last part (`encoder.0.query.weight`), else as its node
 * (`/encoder/0/query/MatMul`), with dots between the parts.
 * @param usersOf the nodes that take a value
 */
export function layerName(node: Node, usersOf: (value: Value) => readonly Node[]): string {
  const { weight } = weightOf(node)!
  const bias = [node, ...usersOf(node.outputs[0]!)].map(biasOf).find((part) => part)?.weight
  // Exporters number weights that they have transposed (onnx::MatMul_405, val_92), and write equal ones once, under one name.
  const own = [weight, bias].filter((value) => value && usersOf(value).length === 1)
  const named = own.map((value) => value!.origin.name).find((name) => !name.includes('::') && prefixOf(name))
  const dotted = (named ?? node.scope).replace(/^\/+/, '').replaceAll('/', '.')
  return prefixOf(dotted) ?? weight.origin.name
}
