// airbench94: 94 % on CIFAR-10 in ten passes over it (Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU",
// arXiv 2404.00498). The network, and how its author trains it.

import { type Graph, graph } from '../src/core/graph/graph.js'
import { type Initializer, input, scope, type Value } from '../src/core/graph/value.js'
import { batchNorm, conv2d, linear, normalizePixels } from '../src/core/layers/index.js'
import { crossEntropy } from '../src/core/losses/index.js'
import type { Recipe } from '../src/core/model/recipe.js'
import { flatten, gelu, maxPool, mul, softmax } from '../src/core/ops/index.js'
import type { StepOptions } from '../src/core/training/step.js'
import { pixelStatistics } from './pixels.js'
import { type Pixels, whiteningFilters } from './whitening.js'

export const AIRBENCH = 'airbench94'

const WIDTHS = [64, 256, 256] as const
const WHITENING_KERNEL = 2
/** Training images that the whitening filters are computed from. */
export const WHITENING_IMAGES = 5000
const MOMENTUM = 0.85
/** What the author's learning rates are divided by: how much longer than a gradient a step with momentum is. */
const STEP_LENGTH = 1 + 1 / (1 - MOMENTUM)
/** Of the mean loss of a batch; the author's is of the sum over 1024 images. */
const LEARNING_RATE = 11.5 / STEP_LENGTH

/**
 * The weights of a convolution that hands its input on: the first filters take one channel each at their centre, the rest are
 * drawn uniformly in ±1/√fan-in.
 */
function handingOn(inputs: number, kernel: number): Initializer {
  const area = kernel * kernel
  const values = Array.from({ length: inputs * inputs * area }, (_, at) => {
    const [filter, channel, place] = [Math.floor(at / (inputs * area)), Math.floor(at / area) % inputs, at % area]
    return Number(filter === channel && place === (area - 1) / 2)
  })
  const rest: Initializer = { kind: 'uniform', bound: 1 / Math.sqrt(inputs * area) }
  return { kind: 'stacked', rows: inputs, first: { kind: 'values', values }, rest }
}

const norm = (x: Value, name: string) => batchNorm(x, name, { epsilon: 1e-12, momentum: 0.6, scale: false })

function block(x: Value, name: string, channels: number): Value {
  const inputs = x.shape[1] as number
  const conv = (from: Value, layer: string, width: number) =>
    conv2d(from, `${name}.${layer}`, { channels, kernel: 3, initializer: handingOn(width, 3) })
  const activated = (from: Value, layer: string) => scope(`${name}.${layer}`, () => gelu(from))
  const wide = conv(x, 'conv1', inputs)
  const pooled = scope(`${name}.pool`, () => maxPool(wide, { kernel_shape: [2, 2], strides: [2, 2] }))
  const first = activated(norm(pooled, `${name}.norm1`), 'gelu1')
  return activated(norm(conv(first, 'conv2', channels), `${name}.norm2`), 'gelu2')
}

/**
 * The network: `images` uint8 [batch, 3, 32, 32] → `logits`, `probabilities` [batch, 10].
 * @param images of CIFAR-10's training set: its first convolution whitens their patches, and does not train
 */
export function airbench94(images: Pixels): Graph {
  const statistics = pixelStatistics.cifar10
  const x = input('images', 'uint8', ['batch', 3, 32, 32])
  const filters = whiteningFilters(images, WHITENING_KERNEL, statistics)
  const white = conv2d(normalizePixels(x, statistics), 'whiten', {
    channels: 2 * 3 * WHITENING_KERNEL ** 2,
    kernel: WHITENING_KERNEL,
    padding: 0,
    bias: true,
    initializer: { kind: 'values', values: filters },
    trainable: false,
  })
  const first = scope('gelu', () => gelu(white))
  const features = WIDTHS.reduce((from, channels, i) => block(from, `block${i + 1}`, channels), first)
  const pooled = scope('pool', () => flatten(maxPool(features, { kernel_shape: [3, 3], strides: [3, 3] })))
  const scores = linear(pooled, 'head', 10, { bias: false, init: 'uniform' })
  const logits = scope('scaled', () => mul(scores, 1 / 9))
  return graph(AIRBENCH, [x], { logits, probabilities: scope('probabilities', () => softmax(logits)) })
}

/** Of the optimizer, the loss and the average: what the step is beside SGD with Nesterov momentum. */
export const airbenchStep: StepOptions = {
  loss: crossEntropy({ labelSmoothing: 0.2 }),
  groups: [
    // Batch norms' shifts learn 64 times as fast, and decay as fast as the rest.
    { pattern: '*.norm*.shift', learningRate: 64, weightDecay: 1 / 64 },
    { pattern: 'whiten.bias', factor: 'whiten_bias' },
  ],
  // Lookahead: every five steps training goes on from the average.
  average: { decay: 0, every: 5, lookahead: true },
}

export const airbenchRecipe: Recipe = {
  epochs: 9.9,
  batchSize: 1024,
  learningRate: {
    kind: 'cycle',
    start: 0.2 * LEARNING_RATE,
    max: LEARNING_RATE,
    end: 0.07 * LEARNING_RATE,
    warmup: { share: 0.23 },
    rise: 'linear',
    fall: 'linear',
    per: 'steps',
  },
  schedules: {
    average_decay: { kind: 'power', from: 0, to: 0.95 ** 5, power: 3, per: 'steps' },
    // The whitening layer's bias trains for three epochs.
    whiten_bias: [
      [0, 1],
      [3, 0],
    ],
  },
  momentum: MOMENTUM,
  // The author's decay is that of a step, whatever the learning rate: here it is multiplied by that again.
  weightDecay: 0.0153 / 11.5,
  nesterov: true,
  loss: 'cross-entropy, label smoothing 0.2',
  augment: [
    { kind: 'flip', alternating: true },
    { kind: 'crop', pixels: 2, border: 'reflect' },
  ],
  dropLast: true,
  testAugment: 'mirror-shift',
}
