// Low-rank adapters (LoRA, Hu et al. 2021, https://arxiv.org/abs/2106.09685): a layer y = x·W of a network that does not train
// becomes y = x·W + (α/r)·(x·A)·B, and A [inputs, r] and B [r, outputs] train. Of a convolution A is its kernel to r channels,
// and B a convolution 1×1. Merging them into the weight, W + (α/r)·A·B, gives back the network as it was.

import { UserError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { rebuild, rewrite } from '../graph/rewrite.js'
import { type Tensor, tensor, widen, zeros } from '../graph/tensor.js'
import {
  constant,
  constantOf,
  isParameter,
  type Node,
  nodeOf,
  type Parameter,
  parameter,
  rootScope,
  scope,
  type Value,
} from '../graph/value.js'
import { Add, add, Conv, conv, Gemm, Mul, matmul, mul, transpose } from '../ops/index.js'
import { matching } from '../training/groups.js'
import { inputsOf, isView, lastLinear, layerName, type Part, weightOf } from './linear.js'

/** Which layers {@link withAdapters} adds low-rank updates to, and of which rank. */
export interface AdapterOptions {
  /** r, what a layer's update is squeezed through. */
  readonly rank: number
  /** Patterns of names of layers or of their weights (`*.query`); unless given, all linear layers and convolutions but the last. */
  readonly on?: readonly string[] | undefined
  /** α: an update counts α/r; as the rank unless given. */
  readonly alpha?: number | undefined
}

const [DOWN, UP] = ['.lora_A', '.lora_B']

/** A layer that can have an adapter. */
interface Layer extends Part {
  readonly node: Node
  readonly name: string
}

/** Layers whose weight no other kind of node uses, so that the update can be merged into it. */
function layersOf({ nodes }: Graph): readonly Layer[] {
  const users = new Map<Value, Node[]>()
  for (const node of nodes)
    for (const value of new Set(node.inputs)) {
      const known = value && users.get(value)
      if (known) known.push(node)
      else if (value) users.set(value, [node])
    }
  const usersOf = (value: Value): readonly Node[] => users.get(value) ?? []
  const layers = nodes.flatMap((node): Layer[] => {
    const part = weightOf(node)
    return part ? [{ node, ...part, name: layerName(node, usersOf) }] : []
  })
  const nodesOf = new Set(layers.map(({ node }) => node))
  /** Whether the weight is nothing but the second operand of layers. */
  const isOwn = (value: Value): boolean =>
    usersOf(value).every((node) =>
      nodesOf.has(node) ? node.inputs.indexOf(value) === 1 : isView(node) && isOwn(node.outputs[0]!),
    )
  return layers.filter(({ weight }) => isOwn(weight))
}

function chosen(network: Graph, { on }: AdapterOptions): readonly Layer[] {
  const layers = layersOf(network)
  if (layers.length === 0)
    throw new UserError(
      `${network.name || 'the network'} has no layer that adapters fit: MatMul, Gemm or Conv with a weight of its own`,
    )
  if (!on) {
    const last = lastLinear(network.nodes)?.[0]?.weight
    return layers.filter(({ weight }) => weight !== last)
  }
  const names = layers.flatMap(({ name, weight }) => [name, weight.origin.name])
  const found = new Set(on.flatMap((pattern) => matching(pattern, names, 'layer that adapters fit')))
  return layers.filter(({ name, weight }) => found.has(name) || found.has(weight.origin.name))
}

/** Of a convolution A is [r, inputs, …kernel] and B [outputs, r, 1, …]; else [inputs, r] and [r, outputs]. */
function factors({ node, weight, axis }: Layer, name: string, rank: number) {
  const outputs = weight.shape[axis] as number
  const inputs = inputsOf({ weight, axis })
  const window = node.operator === Conv ? (node.inputs[1]!.shape.slice(1) as readonly number[]) : undefined
  const { dtype } = weight
  return rootScope('', () => ({
    // As torch.nn.Linear draws a weight; with B zero the network begins as it was.
    down: parameter(
      `${name}${DOWN}`,
      window ? [rank, ...window] : [inputs, rank],
      { kind: 'uniform', bound: 1 / Math.sqrt(inputs) },
      { dtype },
    ),
    up: parameter(
      `${name}${UP}`,
      window ? [outputs, rank, ...window.slice(1).map(() => 1)] : [rank, outputs],
      { kind: 'constant', value: 0 },
      { dtype },
    ),
  }))
}

/** (x·A)·B */
function lowRank({ operator, attributes }: Node, x: Value, down: Value, up: Value): Value {
  if (operator === Conv) return conv(conv(x, down, attributes), up)
  return matmul(matmul(operator === Gemm && attributes.transA ? transpose(x, [1, 0]) : x, down), up)
}

/**
 * The same network with low-rank adapters (LoRA, Hu et al. 2021) at its layers: y = x·W becomes y = x·W + (α/r)·(x·A)·B, where
 * A [inputs, r] is drawn and B [r, outputs] begins at zero. Their names are those of the layers with `.lora_A` and `.lora_B`.
 * @throws UserError for a pattern that no layer has, or where there are adapters already
 */
export function withAdapters(network: Graph, options: AdapterOptions): Graph {
  const { rank, alpha = rank } = options
  if (adaptersOf(network).length > 0)
    throw new UserError(`${network.name || 'the network'} has adapters already: merge them first (rdm-derive --merge)`)
  const names = new Set(network.parameters.map(({ origin }) => origin.name))
  const made = new Map<Parameter, ReturnType<typeof factors>>()
  const layers = new Map<Node, ReturnType<typeof factors>>()
  for (const layer of chosen(network, options)) {
    const { weight, node } = layer
    const isTaken = (name: string) => names.has(`${name}${DOWN}`) || names.has(`${name}${UP}`)
    const name = [layer.name, weight.origin.name].find((each) => !isTaken(each)) ?? `${weight.origin.name}.${made.size}`
    const pair = made.get(weight) ?? factors(layer, name, rank)
    for (const { origin } of [pair.down, pair.up]) names.add(origin.name)
    made.set(weight, pair)
    layers.set(node, pair)
  }
  return rewrite(network, (node, inputs) => {
    const pair = layers.get(node)
    if (!pair) return undefined
    const [y] = rebuild(node, inputs)
    const factor = (alpha / rank) * (node.operator === Gemm ? (node.attributes.alpha as number) : 1)
    const update = scope('lora', () => lowRank(node, inputs[0]!, pair.down, pair.up))
    return [scope('lora', () => add(y!, factor === 1 ? update : mul(update, constant(update.dtype, factor))))]
  })
}

/** A and B of the network's adapters. */
export const adaptersOf = ({ parameters }: Graph): readonly Parameter[] =>
  parameters.filter(({ origin: { name } }) => name.endsWith(DOWN) || name.endsWith(UP))

/** The same network with adapters that give nothing. */
export const withoutUpdates = (network: Graph): Graph =>
  withValues(
    network,
    adaptersOf(network).map((value) => [value, zeros(value.dtype, value.shape as readonly number[])]),
  )

/** The same network with other values of parameters. */
function withValues(network: Graph, values: Iterable<readonly [Parameter, Tensor]>): Graph {
  const leaves = new Map<Value, Value>()
  for (const [value, tensor] of values) {
    const { name, trainable } = value.origin
    const initializer = { kind: 'given', tensor } as const
    leaves.set(
      value,
      rootScope('', () => parameter(name, tensor.shape, initializer, { dtype: value.dtype, trainable })),
    )
  }
  return rewrite(network, () => undefined, { leaves })
}

const isFactor = (value: Value | undefined, suffix: string): value is Parameter =>
  value !== undefined && isParameter(value) && value.origin.name.endsWith(suffix)

interface Update {
  /** The layer's node, and its output without the update. */
  readonly layer: Node
  readonly down: Parameter
  readonly up: Parameter
  readonly factor: number
}

/** What `withAdapters` put into the place of a layer; undefined for any other node. */
function updateOf({ operator, inputs }: Node): Update | undefined {
  if (operator !== Add) return undefined
  const [layer, right] = inputs.map(nodeOf)
  const [factor] = right?.operator === Mul ? (constantOf(right.inputs[1]) ?? []) : [1]
  const last = right?.operator === Mul ? nodeOf(right.inputs[0]) : right
  const first = nodeOf(last?.inputs[0])
  const [down, up] = [first?.inputs[1], last?.inputs[1]]
  if (!layer || factor === undefined || !isFactor(down, DOWN) || !isFactor(up, UP)) return undefined
  return { layer, down, up, factor }
}

function valuesOf({ origin: { name, initializer } }: Parameter): Tensor {
  if (initializer.kind !== 'given') throw new UserError(`'${name}' has no values to merge`)
  return initializer.tensor
}

/** For each input of a layer in the order of its operand, where its weights begin in the parameter; and the step to the next output. */
function placesOf({ weight, axis, order }: Part): { readonly starts: readonly number[]; readonly step: number } {
  const shape = weight.shape as readonly number[]
  const stride = (at: number) => shape.slice(at + 1).reduce((a, b) => a * b, 1)
  const starts = order
    .filter((at) => at !== axis)
    .reduce(
      (found, at) => found.flatMap((start) => Array.from({ length: shape[at]! }, (_, i) => start + i * stride(at))),
      [0],
    )
  return { starts, step: stride(axis) }
}

/** W + factor · A·B, in float64 until the end. */
function mergedWeight(part: Part, { down, up, factor, layer }: Update): Tensor {
  const given = valuesOf(part.weight)
  const [a, b] = [down, up].map((value) => widen(valuesOf(value)).data)
  const { starts, step } = placesOf(part)
  const outputs = part.weight.shape[part.axis] as number
  const isConv = layer.operator === Conv
  const rank = (isConv ? down.shape[0] : down.shape[1]) as number
  // In a Gemm the weight is multiplied by alpha as well, which the update's factor holds already.
  const share = layer.operator === Gemm ? factor / (layer.attributes.alpha as number) : factor
  const data = Float64Array.from(widen(given).data)
  starts.forEach((start, i) => {
    for (let o = 0; o < outputs; o++) {
      let sum = 0
      for (let r = 0; r < rank; r++)
        sum += isConv ? a![r * starts.length + i]! * b![o * rank + r]! : a![i * rank + r]! * b![r * outputs + o]!
      data[start + o * step]! += share * sum
    }
  })
  return tensor(given.dtype, given.shape, data)
}

/**
 * The network as it was before it had adapters, their updates added to its weights.
 * @throws UserError where there are none
 */
export function merged(network: Graph): Graph {
  const updates = new Map(
    network.nodes.flatMap((node) => {
      const update = updateOf(node)
      return update ? [[node, update] as const] : []
    }),
  )
  if (updates.size === 0)
    throw new UserError(
      `${network.name || 'the network'} has no adapters to merge: give a file of rdm-derive --lora, or what rdm-fit made of it`,
    )
  const weights = new Map<Parameter, Tensor>()
  for (const update of updates.values()) {
    const part = weightOf(update.layer)!
    if (!weights.has(part.weight)) weights.set(part.weight, mergedWeight(part, update))
  }
  const plain = rewrite(network, (node, inputs) => (updates.has(node) ? [inputs[0]!] : undefined))
  return withValues(plain, weights)
}
