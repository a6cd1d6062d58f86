// A network of someone else: torchvision's resnet18 with few channels, as PyTorch exported it, derived by us and trained a few steps by
// the driver. What the runtimes are given are further steps of the file that comes out.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pixelStatistics } from '../dist/graphs/pixels.js'
import {
  derive,
  fineTuning,
  fit,
  graph,
  input,
  prepared,
  readNetwork,
  readTrainableModel,
  rewrite,
  sgd,
  softmax,
  trainingStep,
} from '../dist/src/index.js'
import { root } from './install.mjs'

const file = join(root, 'test', 'fixtures', 'networks', 'resnet18.script.onnx')
const STEPS = 5

/** As the examples want it: it takes pixels, and its input and outputs are called as those of our networks. */
function withOurNames(network) {
  const ready = prepared(network, { pixels: pixelStatistics.cifar10 })
  const [image] = ready.inputs
  const images = input('images', image.dtype, image.shape)
  const renamed = rewrite(ready, () => undefined, { leaves: new Map([[image, images]]) })
  const [logits] = renamed.outputs.values()
  return graph('resnet18', [images], new Map(Object.entries({ logits, probabilities: softmax(logits) })))
}

/** Trains it on a data set, in a run folder. */
export async function trainForeign(data, out) {
  const model = readTrainableModel(derive(withOurNames(readNetwork(await readFile(file)))))
  await fit({ model, data, out, config: { epochs: STEPS, steps: STEPS, target: 'portable', threads: 1 } })
}

/** The network of the trained file in a run folder, as `nets.mjs` wants one. */
export async function trainedForeign(out) {
  const network = readNetwork(await readFile(join(out, 'model.onnx')))
  return {
    network,
    step: trainingStep(network, { optimizer: sgd(fineTuning), batchNorm: 'running' }),
    write: (how) => derive(network, how),
  }
}
