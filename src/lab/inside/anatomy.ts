// What of a network can be looked at: the filters of its first layer, and its layers, whose outputs a file is made to give.

import type { Architecture } from '../../../graphs/residual.js'
import { withOpenBatch } from '../../core/derive/batch.js'
import { withPixels } from '../../core/derive/pixels.js'
import { UserError } from '../../core/errors.js'
import { type Graph, graph } from '../../core/graph/graph.js'
import { isKnown } from '../../core/graph/shape.js'
import { isFloat, type Tensor, widen } from '../../core/graph/tensor.js'
import { formatType, type Node, nameOf, type Value } from '../../core/graph/value.js'
import { exportGraph } from '../../core/model/write.js'
import { readNetwork } from '../../core/onnx/network.js'
import { gatedModel, pathModel, residualModelOf } from '../../study/paths/residualModel.js'
import { type ImageInput, imageOf, isImage, isPixels, normalizationFrom, usualFor } from '../bring/inspection.js'

/** The weights of a convolution. */
export interface Filters {
  /** The layer's. */
  readonly name: string
  readonly shape: readonly [count: number, channels: number, height: number, width: number]
  readonly data: Float32Array
}

export interface Layer {
  readonly name: string
  readonly operator: string
  readonly shape: readonly [channels: number, height: number, width: number]
}

export interface Anatomy {
  readonly image: ImageInput
  /** Images that it takes at a time, where it is so many. */
  readonly batch?: number
  /** What pixels are normalized by, where the file does not take them as they are. */
  readonly normalize?: string
  /** Of the first convolution; none where its weights are computed. */
  readonly filters?: Filters
  /** Convolutions and activations, in the order of the graph. */
  readonly layers: readonly Layer[]
  /** Of a residual network of ours. */
  readonly architecture?: Architecture
}

/** The output of a file that gives that of a layer. */
export const ACTIVATION = 'activation'

const activations: ReadonlySet<string> = new Set([
  ...['Relu', 'LeakyRelu', 'PRelu', 'ThresholdedRelu', 'Elu', 'Celu', 'Selu', 'Gelu', 'Mish', 'Swish', 'HardSwish'],
  ...['Sigmoid', 'HardSigmoid', 'Tanh', 'Softplus', 'Softsign', 'Clip'],
])

interface Subject {
  readonly network: Graph
  readonly image: ImageInput
  readonly normalize?: string
}

/** The network with pixels as its input. @throws UserError for one that takes something else than images of one size */
function subjectOf(bytes: Uint8Array): Subject {
  const file = readNetwork(bytes)
  const open = withOpenBatch(file) ?? file
  const floats = open.inputs.some(isPixels)
    ? undefined
    : open.inputs.find((value) => isImage(value) && isFloat(value.dtype))
  const normalize = floats && usualFor(floats)
  const network = normalize === undefined ? open : withPixels(open, normalizationFrom(normalize).pixels!)
  const image = imageOf(network)
  if (!image || network.inputs.length > 1) {
    const taken = file.inputs.map((value) => `'${nameOf(value)}' ${formatType(value)}`).join(', ')
    throw new UserError(
      `to look inside, the network has to take images of one size and nothing else; it takes ${taken || 'nothing'}`,
    )
  }
  return { network, image, ...(normalize === undefined ? {} : { normalize }) }
}

const layersIn = ({ nodes }: Graph): readonly Node[] =>
  nodes.filter(({ operator, outputs: [output] }) => {
    const [, ...sizes] = output!.shape
    return (operator.name === 'Conv' || activations.has(operator.name)) && sizes.length === 3 && sizes.every(isKnown)
  })

/** What the file gives the value; undefined where it is computed. */
function givenTo({ origin }: Value): Tensor | undefined {
  if (origin.kind === 'parameter' && origin.initializer.kind === 'given') return origin.initializer.tensor
  return origin.kind === 'constant' ? (origin.tensor as Tensor) : undefined
}

function filtersOf({ nodes }: Graph): Filters | undefined {
  const first = nodes.find(({ operator, outputs: [output] }) => operator.name === 'Conv' && isImage(output!))
  const weights = first && givenTo(first.inputs[1]!)
  if (!weights) return undefined
  const [count, channels, height, width] = weights.shape as [number, number, number, number]
  return { name: first.scope, shape: [count, channels, height, width], data: Float32Array.from(widen(weights).data) }
}

/** What residual functions there are to remove; nothing where the file does not say it, or is not what it says. */
function architectureIn(bytes: Uint8Array): Pick<Anatomy, 'architecture'> {
  try {
    return { architecture: residualModelOf(bytes, 'the model').architecture }
  } catch (error) {
    if (error instanceof UserError) return {}
    throw error
  }
}

/** The residual network with gates on its functions. */
export const gated = (bytes: Uint8Array): Uint8Array => gatedModel(residualModelOf(bytes, 'the model'))

/** The graph of the gradient along chosen paths through the residual network. */
export const pathsOf = (bytes: Uint8Array): Uint8Array => pathModel(residualModelOf(bytes, 'the model'))

/** @throws UserError for what is no ONNX file, or no network of images */
export function anatomyOf(bytes: Uint8Array): Anatomy {
  const { network, image, normalize } = subjectOf(bytes)
  const [batch] = network.inputs[0]!.shape
  const filters = filtersOf(network)
  return {
    image,
    ...(isKnown(batch!) ? { batch: batch as number } : {}),
    ...(normalize === undefined ? {} : { normalize }),
    ...(filters ? { filters } : {}),
    ...architectureIn(bytes),
    layers: layersIn(network).map(({ scope, operator, outputs: [output] }): Layer => {
      const [, channels, height, width] = output!.shape as [unknown, number, number, number]
      return { name: scope, operator: operator.name, shape: [channels, height, width] }
    }),
  }
}

/** The network up to one of its layers, as a plain model: pixels in, `activation` out. */
export function revealing(bytes: Uint8Array, layer: number): Uint8Array {
  const { network } = subjectOf(bytes)
  const [output] = layersIn(network)[layer]!.outputs
  return exportGraph(graph(network.name, network.inputs, { [ACTIVATION]: output! }))
}
