// A trained residual network from its file: the architecture in its metadata is built anew, so that its blocks and functions
// are known, and takes the file's weights by name.

import {
  type Architecture,
  architectureSchema,
  buildNetwork,
  convolutionsOf,
  residualNetwork,
  totalBlocks,
} from '../../../graphs/residual.js'
import { naming, UserError } from '../../core/errors.js'
import type { Graph } from '../../core/graph/graph.js'
import { sameShape } from '../../core/graph/shape.js'
import type { Tensor } from '../../core/graph/tensor.js'
import { formatType } from '../../core/graph/value.js'
import { FUNCTION_GATES, keys, readProperty } from '../../core/model/metadata.js'
import { exportGraph, parametersAsInputs } from '../../core/model/write.js'
import { decodeModel } from '../../core/onnx/tensors.js'
import { readModel } from '../../core/onnx/trainingInfo.js'
import { type ImageSet, imageSet, imageSize } from '../../driver/data/dataset.js'
import { pathGradient } from './gradient.js'

export interface ResidualModel {
  /** How to call the file. */
  readonly source: string
  /** The whole file. */
  readonly bytes: Uint8Array
  readonly architecture: Architecture
  readonly weights: ReadonlyMap<string, Tensor>
}

/**
 * @param source how to call the file
 * @throws UserError for what is no such model: not ONNX, without its architecture, or with weights of another one
 */
export const residualModelOf = (bytes: Uint8Array, source: string): ResidualModel =>
  naming(source, () => {
    const proto = decodeModel(bytes)
    const { weights } = readModel(proto)
    const architecture = readProperty(proto.metadataProps, keys.architecture, (value) =>
      architectureSchema.parse(value),
    )
    if (!architecture)
      throw new UserError(
        `the model does not say what its residual functions are (metadata '${keys.architecture}'); expected a file that ` +
          'rdm-export or rdm-fit wrote',
      )
    // Before anything is built: a description may ask for a million functions.
    const convolutions = totalBlocks(architecture) * architecture.functions.length * convolutionsOf(architecture)
    if (convolutions > weights.size)
      throw new UserError(
        `its architecture has ${convolutions} convolutions, but the file has ${weights.size} weights; export it anew`,
      )
    checkWeights(residualNetwork(architecture), weights)
    return { source, bytes, architecture, weights }
  })

/** Each parameter of the network that is built is in the file, with the same type. */
function checkWeights({ parameters }: Graph, weights: ReadonlyMap<string, Tensor>): void {
  for (const value of parameters) {
    const { name } = value.origin
    const found = weights.get(name)
    if (found?.dtype === value.dtype && sameShape(found.shape, value.shape)) continue
    const has = found ? `has ${found.dtype}[${found.shape}]` : 'has none of that name'
    throw new UserError(`its architecture needs '${name}', ${formatType(value)}, but the file ${has}; export it anew`)
  }
}

/** The network with an input `function_gates` float32 [functions], as a plain model. */
export function gatedModel({ architecture, weights }: ResidualModel): Uint8Array {
  const network = residualNetwork(architecture, 'he', true)
  const gates = network.parameters.filter(({ origin }) => origin.name === FUNCTION_GATES)
  return exportGraph(parametersAsInputs(network, gates), weights)
}

/** The graph of `pathGradient` as a plain model. */
export const pathModel = ({ architecture, weights }: ResidualModel): Uint8Array =>
  exportGraph(pathGradient(buildNetwork(architecture)), weights)

/** @throws UserError when the logits differ by more than float32 explains */
export function checkSame(
  { source, architecture }: Pick<ResidualModel, 'source' | 'architecture'>,
  own: Float32Array,
  built: Float32Array,
): void {
  const largest = own.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const apart = own.reduce((most, value, i) => Math.max(most, Math.abs(value - built[i]!)), 0)
  if (apart <= 1e-3 * Math.max(largest, 1)) return
  throw new UserError(
    `${source}: the network that its architecture (${architecture.name}) describes gives other logits than the file, ` +
      `by ${apart.toPrecision(2)}: one of the two was changed; export it anew`,
  )
}

/** Some images of a set, in this order. */
export function pick(set: ImageSet, indices: ArrayLike<number>): ImageSet {
  const size = imageSize(set)
  const images = new Uint8Array(indices.length * size)
  const labels = new Uint8Array(indices.length)
  for (let i = 0; i < indices.length; i++) {
    const at = indices[i]!
    images.set(set.images.subarray(at * size, (at + 1) * size), i * size)
    labels[i] = set.labels[at]!
  }
  return imageSet({ ...set, images, labels, count: indices.length })
}

/** Names of the blocks, `stage1.block2`, in order. */
export const blockNames = ({ blocks }: Architecture): string[] =>
  blocks.flatMap((count, stage) => Array.from({ length: count }, (_, i) => `stage${stage + 1}.block${i + 1}`))
