// What `npm run bench` compares: networks, what is asked of each, and the folder that its contestants are given.

import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  add,
  conv2d,
  derive,
  exportModel,
  fineTuning,
  flatten,
  globalAveragePool,
  graph,
  initialize,
  input,
  linear,
  readNetwork,
  readTrainableModel,
  recipes,
  relu,
  synthesize,
} from 'rdm-onnx'
import { airbench94, airbenchRecipe, airbenchStep } from '../dist/graphs/airbench.js'
import { writeCase, writeTensors } from './case.mjs'
import { networkOf } from './common.mjs'
import { exporter } from './contestants.mjs'
import { stepFlops } from './flops.mjs'

// A tenth of the recipe's first rate, which makes a step no cheaper. At 0.01 rounding grows so fast that the third losses of
// RDM-83 in four float32 implementations lie up to 7e-3 apart, and up to 6e-3 from float64; at 0.001, 1e-4 and 6e-5.
const LEARNING_RATE = 1e-3
const SEED = 1

/** Synthetic images of 32×32, repeated side by side where larger ones are asked for. */
function batchOf({ batch, size = 32 }) {
  const { train } = synthesize({ train: batch, test: 10, seed: SEED })
  const { channels, height, width } = train
  const images = new Uint8Array(batch * channels * size * size)
  for (let i = 0; i < images.length; i++) {
    const [plane, y, x] = [Math.floor(i / size ** 2), Math.floor(i / size) % size, i % size]
    images[i] = train.images[(plane * height + (y % height)) * width + (x % width)]
  }
  return {
    images: { dtype: 'uint8', shape: [batch, channels, size, size], data: images },
    labels: { dtype: 'int64', shape: [batch], data: BigInt64Array.from(train.labels, BigInt) },
  }
}

/** A network of the zoo, at the paper's batch, with other blocks or images where they are given. @returns a subject */
export function ofZoo(arch, { blocks, imageSize = 32, ...rest } = {}) {
  const { architecture: usual, recipe } = networkOf({ arch, blocks })
  const architecture = { ...usual, imageSize }
  return {
    kind: 'zoo',
    batch: 128,
    ...rest,
    write(folder, { batch, threads }) {
      const settings = { architecture, recipe, learningRate: LEARNING_RATE, batch, threads }
      const network = writeCase(folder, settings)
      writeTensors(folder, 'batch.safetensors', batchOf({ batch, size: imageSize }))
      // For runtimes that have the plainest operators alone.
      writeFileSync(
        join(folder, 'basic.onnx'),
        exportModel(network, { recipe, seed: SEED, part: 'train', inline: true, level: 'basic' }),
      )
      return stepFlops(network, batch)
    },
  }
}

const weightsOf = (model) =>
  Object.fromEntries(Object.entries(readTrainableModel(model).state).filter(([name]) => !name.endsWith('.momentum')))

const airbench = {
  kind: 'airbench',
  batch: 1024,
  write(folder, { batch, threads }) {
    const tensors = batchOf({ batch })
    const network = airbench94({ data: tensors.images.data, shape: tensors.images.shape })
    const model = exportModel(network, { ...airbenchStep, recipe: airbenchRecipe, seed: SEED })
    const { momentum, weightDecay, nesterov } = airbenchRecipe
    const recipe = { momentum, weightDecay, nesterov }
    writeFileSync(join(folder, 'model.onnx'), model)
    // Those that do not train as well: the file has them as constants.
    writeTensors(folder, 'weights.safetensors', Object.fromEntries(initialize([network], SEED)))
    writeTensors(folder, 'batch.safetensors', tensors)
    const settings = { architecture: { name: 'airbench94' }, recipe, learningRate: LEARNING_RATE, batch, threads }
    writeFileSync(join(folder, 'case.json'), JSON.stringify(settings))
  },
}

/**
 * A network of torchvision, transformers or PyTorch, as its exporter writes it.
 * @param frozen batch norms keep the statistics of the file; else they take those of the batch
 */
const foreign = (network, { frozen = false, ...rest } = {}) => ({
  kind: 'foreign',
  batch: 32,
  ...rest,
  write(folder, { batch, threads }) {
    const { command, args } = exporter
    const exported = spawnSync(command, [...args, network, folder, '--batch', String(batch)], { encoding: 'utf8' })
    if (exported.status !== 0) throw new Error(`PyTorch does not export ${network}: ${exported.stderr.slice(-500)}`)
    const settings = { network, frozen, batch, threads, learningRate: LEARNING_RATE }
    writeFileSync(join(folder, 'case.json'), JSON.stringify(settings))
    const model = derive(readNetwork(readFileSync(join(folder, 'network.onnx'))), {
      recipe: { ...fineTuning, batchSize: batch },
      batchNorm: frozen ? 'running' : 'batch',
    })
    writeFileSync(join(folder, 'model.onnx'), model)
  },
})

/** A residual network of 8 layers without batch norm: small enough for libraries that take seconds a step. */
function plain8() {
  const images = input('images', 'float32', ['batch', 3, 32, 32])
  let x = relu(conv2d(images, 'stem', { channels: 16, kernel: 3 }))
  for (const [i, channels] of [16, 32, 64].entries()) {
    const stride = i === 0 ? 1 : 2
    const inner = relu(conv2d(x, `block${i + 1}.conv1`, { channels, kernel: 3, stride }))
    const branch = conv2d(inner, `block${i + 1}.conv2`, { channels, kernel: 3 })
    const shortcut = i === 0 ? x : conv2d(x, `block${i + 1}.shortcut`, { channels, kernel: 1, stride })
    x = relu(add(branch, shortcut))
  }
  return graph('plain8', [images], { logits: linear(flatten(globalAveragePool(x)), 'classifier', 10) })
}

const onPage = {
  kind: 'page',
  batch: 32,
  write(folder, { batch, threads }) {
    const network = plain8()
    const recipe = { ...recipes.paper, batchSize: batch, weightDecay: 0, augment: false }
    const model = exportModel(network, { recipe, seed: SEED })
    writeFileSync(join(folder, 'model.onnx'), model)
    writeFileSync(join(folder, 'network.onnx'), exportModel(network, { recipe, seed: SEED, part: 'infer' }))
    writeTensors(folder, 'weights.safetensors', weightsOf(model))
    const { images, labels } = batchOf({ batch })
    const pixels = { ...images, dtype: 'float32', data: Float32Array.from(images.data, (value) => value / 255 - 0.5) }
    writeTensors(folder, 'batch.safetensors', { images: pixels, labels })
    const settings = { batch, threads, learningRate: LEARNING_RATE, momentum: recipe.momentum }
    writeFileSync(join(folder, 'case.json'), JSON.stringify(settings))
  },
}

/** A small one, for the test of the benchmark. */
export const tiny = ofZoo('rdm56', { blocks: '1,1,1' })

const ofTheirs = { torch: 0.9, onnxsim: 5, memory: 0.7 }

/**
 * Name → network. `goals` are what must be reached: times as fast as the fastest of the contestants whose names begin so, the
 * first step in seconds (`firstStep`, `untuned` for a machine on which nothing was timed yet), and memory as a share of PyTorch's.
 * `quick` ones take part without --all.
 */
export const subjects = {
  rdm56: ofZoo('rdm56', {
    quick: true,
    goals: { torch: 1, 'ort-training': 1.5, firstStep: 2, untuned: 6, memory: 0.7 },
  }),
  rdm83: ofZoo('rdm83', { goals: { torch: 1, 'ort-training': 1.5, firstStep: 3, memory: 0.7 } }),
  preresnet110: ofZoo('preresnet110', { goals: { torch: 1, memory: 0.7 } }),
  multiresnet8x23: ofZoo('multiresnet8x23', { goals: { torch: 1, memory: 0.7 } }),
  airbench94: { ...airbench, goals: { torch: 0.9, memory: 0.7 } },
  resnet18: foreign('resnet18', { quick: true, goals: ofTheirs }),
  'resnet18, frozen statistics': foreign('resnet18', { frozen: true, goals: ofTheirs }),
  mobilenet_v3_small: foreign('mobilenet_v3_small', { quick: true, goals: ofTheirs }),
  'mobilenet_v3_small, frozen statistics': foreign('mobilenet_v3_small', { frozen: true, goals: ofTheirs }),
  vit_tiny: foreign('vit_tiny', { goals: ofTheirs }),
  bert: foreign('bert', { quick: true, goals: ofTheirs }),
  lstm_tagger: foreign('lstm_tagger', { goals: ofTheirs }),
  'plain8 in a page': {
    ...onPage,
    quick: true,
    goals: { onnxsim: 5, 'page: tfjs': 50, 'page: jax-js': 50, 'GPU page: tfjs': 1, 'GPU page: jax-js': 1 },
  },
}
