// Residual networks for small images, all of them: one description, one builder. The papers' networks are values of it.

import { z } from 'zod'
import { type Graph, graph } from '../src/core/graph/graph.js'
import { constant, input, parameter, scope, type Value } from '../src/core/graph/value.js'
import { batchNorm, conv2d, type Init, linear, normalizePixels } from '../src/core/layers/index.js'
import { FUNCTION_GATES } from '../src/core/model/metadata.js'
import {
  add,
  averagePool,
  flatten,
  gate,
  gather,
  globalAveragePool,
  pad,
  relu,
  softmax,
} from '../src/core/ops/index.js'
import type { BlockNetwork, ResidualBlock } from './blocks.js'

const count = z.int().min(1)

/** What is wrong with a residual function's mask, if anything. */
export function maskProblem(mask: string, block: 'basic' | 'bottleneck'): string | undefined {
  const length = convolutionsOf({ block })
  if (/^[01]+$/.test(mask) && mask.length === length) return undefined
  const example = block === 'basic' ? '11 or 01' : '111 or 001'
  return `the mask '${mask}' does not fit a ${block} block: expected ${length} digits, 1 for a ReLU and 0 for none, such as ${example}`
}

/** Checks the description of a residual network; a zod schema. What {@link residualNetwork} builds. */
export const architectureSchema = z
  .strictObject({
    name: z.string().min(1),
    /** `basic`: two 3×3 convolutions. `bottleneck`: 1×1, 3×3, 1×1 with four times the width at the end. */
    block: z.enum(['basic', 'bottleneck']),
    /** Blocks of each stage. */
    blocks: z.array(count.max(1000)).min(1),
    /**
     * The residual functions of a block, each a mask over its convolutions: `01` has no ReLU before the first and one
     * before the second. r is their number.
     */
    functions: z.array(z.string()).min(1).max(1000),
    /** Width of each stage; a bottleneck's output has four times as many channels. */
    widths: z.array(count.max(65_536)).min(1),
    classes: count.min(2).max(256),
    /** Height and width of the images, in pixels. */
    imageSize: count.max(1024),
    /** `pre`: BN, ReLU, convolution (He et al. 2016). `post`: convolution, BN, ReLU, and a ReLU after the sum. */
    activation: z.enum(['pre', 'post']),
    /** Where shape changes: a bias-free 1×1 convolution, or 2×2 average pooling and zero channels. */
    shortcut: z.enum(['projection', 'padding']),
    /** Survival probability of the last block, falling linearly from 1; absent: every function always counts. */
    stochasticDepth: z.number().gt(0).max(1).optional(),
    /** Mean and standard deviation of each channel, of pixels in [0, 1]. */
    pixels: z.strictObject({ mean: z.array(z.number()).length(3), std: z.array(z.number().gt(0)).length(3) }),
  })
  .check((context) => {
    const { block, blocks, widths, functions, imageSize } = context.value
    const report = (message: string) => context.issues.push({ code: 'custom', message, input: context.value })
    for (const mask of functions) {
      const problem = maskProblem(mask, block)
      if (problem) report(problem)
    }
    if (blocks.length !== widths.length)
      report(`${blocks.length} stages of blocks need as many widths, got ${widths.length}`)
    const smallest = 2 ** (blocks.length - 1)
    if (imageSize % smallest !== 0)
      report(`images of ${imageSize} cannot be halved ${blocks.length - 1} times; use a multiple of ${smallest}`)
  })

/** A residual network with any number of residual functions a block, as {@link architectureSchema} checks it. */
export type Architecture = Readonly<z.infer<typeof architectureSchema>>

export const convolutionsOf = ({ block }: Pick<Architecture, 'block'>): number => (block === 'basic' ? 2 : 3)
const expansionOf = ({ block }: Architecture): number => (block === 'basic' ? 1 : 4)
export const totalBlocks = ({ blocks }: Pick<Architecture, 'blocks'>): number => blocks.reduce((sum, n) => sum + n, 0)
/** Layers on the longest path: the first convolution, those of every block, the classifier. */
export const depthOf = (a: Pick<Architecture, 'block' | 'blocks'>): number => totalBlocks(a) * convolutionsOf(a) + 2

interface Place {
  /** Of the block, counted from 0 through all stages. */
  readonly index: number
  readonly width: number
  readonly stride: number
  /** Survival probability of the block's functions; 1 where nothing is dropped. */
  readonly survival: number
}

/** One residual function: pre-activation units BN → (ReLU) → convolution, or post-activation convolution → BN → (ReLU). */
function residualFunction(x: Value, a: Architecture, mask: string, { width, stride }: Place, init: Init): Value {
  const kernels = a.block === 'basic' ? [3, 3] : [1, 3, 1]
  return kernels.reduce((value, kernel, i) => {
    const last = i === kernels.length - 1
    const channels = last ? width * expansionOf(a) : width
    const unit = (v: Value) => conv2d(v, `conv${i + 1}`, { channels, kernel, stride: i === 0 ? stride : 1, init })
    const activate = (v: Value) => {
      const normal = batchNorm(v, `bn${i + 1}`)
      return mask[i] === '1' ? scope(`relu${i + 1}`, () => relu(normal)) : normal
    }
    return a.activation === 'pre' ? unit(activate(value)) : activate(unit(value))
  }, x)
}

/** Identity where the shape stays; else as the architecture says, on the raw input of the block. */
function shortcut(x: Value, a: Architecture, { width, stride }: Place, init: Init): Value {
  const channels = width * expansionOf(a)
  const added = channels - (x.shape[1] as number)
  if (added === 0 && stride === 1) return x
  if (a.shortcut === 'projection') return conv2d(x, 'shortcut', { channels, kernel: 1, stride, init })
  return scope('shortcut', () => {
    const window = [stride, stride]
    const pooled = stride === 1 ? x : scope('pool', () => averagePool(x, { kernel_shape: window, strides: window }))
    return added === 0 ? pooled : scope('pad', () => pad(pooled, [1], [0], [added]))
  })
}

/**
 * shortcut(x) + Σ function(x), all functions behind the block's gate where depth is stochastic.
 * @param gates one for each function of the network, block by block
 */
function block(x: Value, a: Architecture, place: Place, init: Init, gates?: Value): ResidualBlock {
  const functions = a.functions.map((mask, i) =>
    scope(`f${i + 1}`, () => {
      const value = residualFunction(x, a, mask, place, init)
      if (!gates) return value
      const index = constant('int64', place.index * a.functions.length + i)
      return scope('gate', () => gate(value, 1, gather(gates, index)))
    }),
  )
  const branch = scope('functions', () => functions.reduce(add))
  const gated = a.stochasticDepth === undefined ? branch : scope('gate', () => gate(branch, place.survival))
  const straight = shortcut(x, a, place, init)
  const sum = scope('sum', () => add(straight, gated))
  const output = a.activation === 'post' ? scope('relu', () => relu(sum)) : sum
  return { input: x, shortcut: straight, functions, survival: place.survival, sum, output }
}

/** Survival probability of block `index`, counted from 0: p_l = 1 − (l/L)(1 − p_L) with l = index + 1 of L (Huang et al. 2016). */
export const survivalOf = (index: number, total: number, last: number): number => 1 - ((index + 1) / total) * (1 - last)

export interface NetworkOptions {
  /** How weights are drawn: He normal unless given. */
  readonly init?: Init
  /** Put a gate on every residual function: `function_gates` float32 [functions], by which their outputs are multiplied. */
  readonly gates?: boolean
}

/** The inference graph, and its parts that paths go through. */
export function buildNetwork(a: Architecture, { init = 'he', gates = false }: NetworkOptions = {}): BlockNetwork {
  const images = input('images', 'uint8', ['batch', a.pixels.mean.length, a.imageSize, a.imageSize])
  const pixels = normalizePixels(images, a.pixels)
  // The pre-activation networks of the paper, too, have BN and ReLU after the first convolution.
  const stem = conv2d(pixels, 'stem', { channels: a.widths[0]!, kernel: 3, init })
  const normal = batchNorm(stem, 'stem.bn')
  let x = scope('stem.relu', () => relu(normal))
  const total = totalBlocks(a)
  const open = gates
    ? parameter(FUNCTION_GATES, [total * a.functions.length], { kind: 'constant', value: 1 }, { trainable: false })
    : undefined
  const blocks: ResidualBlock[] = []
  a.widths.forEach((width, stage) => {
    for (let i = 0; i < a.blocks[stage]!; i++) {
      const index = blocks.length
      const survival = a.stochasticDepth === undefined ? 1 : survivalOf(index, total, a.stochasticDepth)
      const place = { index, width, stride: stage > 0 && i === 0 ? 2 : 1, survival }
      const made = scope(`stage${stage + 1}.block${i + 1}`, () => block(x, a, place, init, open))
      blocks.push(made)
      x = made.output
    }
  })
  if (a.activation === 'pre') {
    const normal = batchNorm(x, 'head.bn')
    x = scope('head.relu', () => relu(normal))
  }
  const pooled = scope('head.pool', () => globalAveragePool(x))
  const features = scope('head.flatten', () => flatten(pooled))
  const logits = linear(features, 'classifier', a.classes, { init })
  const probabilities = scope('softmax', () => softmax(logits))
  return { graph: graph(a.name, [images], { logits, probabilities }), pixels, blocks }
}

/**
 * The inference graph: `images` uint8 [batch, 3, size, size] → `logits` and `probabilities` [batch, classes].
 * Normalisation is inside.
 */
export const residualNetwork = (a: Architecture, init: Init = 'he', gates = false): Graph =>
  buildNetwork(a, { init, gates }).graph
