// The fuse pass: the two gradients of a convolution in one ConvGrad. Its kernel lays the windows of each image side by side
// once for both, and computes both whether they are asked for or not.

import type { Graph } from '../../../core/graph/graph.js'
import { rebuild, rewrite } from '../../../core/graph/rewrite.js'
import { type Node, nodeOf, type Value } from '../../../core/graph/value.js'
import { type ConvAttributes, ConvInputGrad, ConvWeightGrad } from '../../../core/ops/index.js'
import { convGrad } from './kernels.js'

/** Says of a ConvWeightGrad whether it is to be part of a ConvGrad. */
type Pays = (weightGrad: Node) => boolean

/**
 * Whether ConvGrad is faster than both gradients as `portable` writes them (bench/README.md): where a stride steps over
 * places, of which standard operators have to make copies, and a place is in several windows.
 */
const stepsOver = (weightGrad: Node): boolean => {
  const { strides, kernel_shape } = attributesOf(weightGrad)
  return kernel_shape!.length === 2 && strides.some((stride) => stride > 1) && kernel_shape!.some((size) => size > 1)
}

const attributesOf = (node: Node) => node.attributes as unknown as ConvAttributes
const windowOf = (node: Node): string => {
  const { strides, pads, dilations, group } = attributesOf(node)
  return [strides, pads, dilations, group].join(';')
}
const sameShape = (a: Value, b: Value): boolean => a.dtype === b.dtype && a.shape.join() === b.shape.join()
const sequenceOf = (value: Value): number => nodeOf(value)?.sequence ?? -1

/** What stands for both: dx needs x for its shape alone, dw does w, so any two of one dy and one window go together. */
interface Pair {
  readonly dy: Value
  readonly x: Value
  readonly w: Value
  readonly inputGrad: Node
  readonly weightGrad: Node
}

function pairOf(inputGrad: Node, weightGrad: Node): Pair | undefined {
  const [dy, w] = inputGrad.inputs as readonly [Value, Value]
  const [x, other] = weightGrad.inputs as readonly [Value, Value]
  const fits = dy === other && sameShape(inputGrad.outputs[0]!, x) && sameShape(weightGrad.outputs[0]!, w)
  if (!fits || dy.dtype !== 'float32' || windowOf(inputGrad) !== windowOf(weightGrad)) return undefined
  // Whichever comes first is the place of both: what the other one needs has to be there.
  const early = inputGrad.sequence < weightGrad.sequence ? x : w
  const first = Math.min(inputGrad.sequence, weightGrad.sequence)
  return sequenceOf(early) < first ? { dy, x, w, inputGrad, weightGrad } : undefined
}

/** Each gradient that is part of a pair → the pair. */
function pairsOf({ nodes }: Graph, pays: Pays): ReadonlyMap<Node, Pair> {
  const pairs = new Map<Node, Pair>()
  const weightGrads = nodes.filter((node) => node.operator === ConvWeightGrad && pays(node))
  for (const inputGrad of nodes.filter(({ operator }) => operator === ConvInputGrad)) {
    const free = weightGrads.filter((weightGrad) => !pairs.has(weightGrad))
    const [pair] = free.flatMap((weightGrad) => pairOf(inputGrad, weightGrad) ?? [])
    if (pair) pairs.set(inputGrad, pair).set(pair.weightGrad, pair)
  }
  return pairs
}

/** The same graph with ConvGrad where it is faster, or where `pays` says. */
export function fuseConvGradients(source: Graph, pays: Pays = stepsOver): Graph {
  const pairs = pairsOf(source, pays)
  const images = new Map<Value, Value>()
  const written = new Map<Pair, readonly Value[]>()
  const imageOf = (value: Value): Value => images.get(value) ?? value
  return rewrite(source, (node, inputs) => {
    const pair = pairs.get(node)
    if (pair && !written.has(pair)) {
      const { dy, x, w, weightGrad } = pair
      written.set(pair, convGrad(imageOf(dy), imageOf(x), imageOf(w), attributesOf(weightGrad)))
    }
    const outputs = pair ? [written.get(pair)![node === pair.inputGrad ? 0 : 1]!] : rebuild(node, inputs)
    node.outputs.forEach((value, i) => {
      images.set(value, outputs[i]!)
    })
    return outputs
  })
}
