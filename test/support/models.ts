// Small networks and their files: what the tests of reading, writing and training share.
import onnxProto from 'onnx-proto'
import { recipes } from '../../graphs/recipes.js'
import { type Graph, graph } from '../../src/core/graph/graph.js'
import { printGraph } from '../../src/core/graph/print.js'
import { input } from '../../src/core/graph/value.js'
import { batchNorm, conv2d, linear, normalizePixels } from '../../src/core/layers/index.js'
import type { Recipe } from '../../src/core/model/recipe.js'
import { type ExportOptions, exportModel } from '../../src/core/model/write.js'
import { add, averagePool, concat, flatten, maxPool, relu, softmax, tanh } from '../../src/core/ops/index.js'
import { tinyNames, tinyNetwork } from './networks.js'

export const { onnx } = onnxProto
export type ModelProto = onnxProto.onnx.ModelProto

/** A network of other parts than the residual ones: max and average pooling, groups, biases, a join, odd sizes. */
export function plainCnn(): Graph {
  const images = input('pictures', 'uint8', ['batch', 3, 11, 9])
  const pixels = normalizePixels(images, { mean: [0.5, 0.4, 0.3], std: [0.2, 0.25, 0.3] })
  const stem = relu(conv2d(pixels, 'stem', { channels: 6, kernel: 3, stride: 2, bias: true, init: 'uniform' }))
  const left = tanh(batchNorm(conv2d(stem, 'left', { channels: 6, kernel: 3, groups: 3 }), 'left.bn'))
  const joined = concat([add(left, stem), maxPool(stem, { kernel_shape: [3, 3], pads: [1, 1, 1, 1] })], 1)
  const pooled = averagePool(joined, { kernel_shape: [2, 2], strides: [2, 2] })
  const logits = linear(flatten(pooled), 'classifier', 10, { init: 'uniform' })
  return graph('plain-cnn', [images], { logits, probabilities: softmax(logits) })
}

export const networks: Readonly<Record<string, () => Graph>> = {
  ...Object.fromEntries(tinyNames.map((name) => [name, () => tinyNetwork(name)])),
  'a plain CNN': plainCnn,
}
export const networkNames = Object.keys(networks)

export const paper: Recipe = recipes.paper

/** The file of a network, by the paper's recipe and seed 7 unless told otherwise. */
export const fileOf = (network: Graph, options: Partial<ExportOptions> = {}): Uint8Array =>
  exportModel(network, { recipe: paper, seed: 7, ...options })

/** A file taken apart, changed and put together again. */
export function edited(bytes: Uint8Array, edit: (model: ModelProto) => void): Uint8Array {
  const model = onnx.ModelProto.decode(bytes)
  edit(model)
  return onnx.ModelProto.encode(model).finish()
}

/** The printed graph without what only names things: scopes, and digits past what a float32 holds. */
export const structureOf = (source: Graph): string =>
  printGraph(source)
    .replace(/ {2}# .*?((?:float|u?int|bool)\d*\[)/g, '  # $1')
    .replace(/\d+\.\d+(e-?\d+)?/g, (digits) => String(Number(Number(digits).toPrecision(6))))
