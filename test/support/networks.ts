// Small residual networks, one of each kind that the papers have, and training batches for them.
import { type Architecture, residualNetwork } from '../../graphs/residual.js'
import type { Graph } from '../../src/core/graph/graph.js'
import { type Numbers, numbers, widen } from '../../src/core/graph/tensor.js'
import { randomStream } from '../../src/core/random.js'
import { initialize } from '../../src/core/training/initialize.js'
import type { TrainingStep } from '../../src/core/training/step.js'

const tiny: Architecture = {
  name: 'tiny',
  block: 'basic',
  blocks: [1, 2, 1],
  functions: ['11'],
  widths: [4, 6, 8],
  classes: 10,
  imageSize: 8,
  activation: 'pre',
  shortcut: 'projection',
  pixels: { mean: [0.49, 0.48, 0.45], std: [0.25, 0.24, 0.26] },
}
const stochastic = { stochasticDepth: 0.5 }

export const tinyNetworks = {
  'RDM basic': { ...tiny, functions: ['11', '01'] },
  'RDM bottleneck': { ...tiny, block: 'bottleneck', functions: ['111', '001'], blocks: [2, 1, 1] },
  'Multi-ResNet r=3': { ...tiny, functions: ['11', '11', '11'], imageSize: 12, blocks: [1, 1, 1] },
  'stochastic depth, post-activation': {
    ...tiny,
    ...stochastic,
    functions: ['10'],
    activation: 'post',
    shortcut: 'padding',
  },
  'RDM basic, stochastic depth': { ...tiny, ...stochastic, functions: ['11', '01'], imageSize: 12 },
} as const satisfies Record<string, Architecture>

export type TinyName = keyof typeof tinyNetworks
export const tinyNames = Object.keys(tinyNetworks) as TinyName[]
export const tinyNetwork = (name: TinyName): Graph => residualNetwork(tinyNetworks[name])

/**
 * Values for all parameters of a graph, exactly as a float32 runtime holds them; batch norms and momenta are moved off
 * their neutral first values, so that a term that is lost shows.
 */
export function disturbed(graph: Graph, seed: number): Map<string, Numbers> {
  const state = new Map<string, Numbers>()
  for (const [name, first] of initialize([graph], seed)) {
    const random = randomStream(seed, 'disturb', name)
    const moved = widen(first).data.map((value) => {
      if (name.endsWith('.momentum')) return 0.01 * random.normal()
      if (/\.(scale|running_variance)$/.test(name)) return value * (0.75 + 0.5 * random.uniform())
      return /\.(shift|bias|running_mean)$/.test(name) ? value + 0.1 * random.normal() : value
    })
    state.set(name, numbers(first.dtype, first.shape, moved.map(Math.fround)))
  }
  return state
}

/** Inputs of one step: drawn images and labels, and gates of which about a third are shut. */
export function tinyBatch(
  step: Graph | Pick<TrainingStep, 'graph' | 'signature'>,
  seed: number,
  { size = 5, rate = 0.1 } = {},
): Map<string, Numbers> {
  // A graph alone is that of the paper's optimizer.
  const { inputs } = 'graph' in step ? step.graph : step
  const hyperparameters = 'graph' in step ? step.signature.hyperparameters : { momentum: 0.9, weight_decay: 1e-4 }
  const usual = new Map(Object.entries<number | null>(hyperparameters))
  const random = randomStream(seed, 'batch')
  const drawn = (dtype: Numbers['dtype'], shape: readonly number[], next: (i: number) => number) =>
    numbers(
      dtype,
      shape,
      Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => next(i)),
    )
  const feeds = new Map<string, Numbers>()
  for (const { dtype, shape, origin } of inputs) {
    if (origin.kind !== 'input') continue
    const scalar = usual.get(origin.name)
    if (scalar != null) feeds.set(origin.name, numbers(dtype, [], [Math.fround(scalar)]))
    const known = shape.map((dim) => (typeof dim === 'number' ? dim : size))
    if (dtype === 'uint8')
      feeds.set(
        origin.name,
        drawn(dtype, known, () => random.below(256)),
      )
    if (origin.name === 'labels')
      feeds.set(
        origin.name,
        drawn(dtype, known, () => random.below(10)),
      )
    if (origin.name === 'learning_rate') feeds.set(origin.name, numbers(dtype, [], [Math.fround(rate)]))
    if (origin.name === 'gates')
      feeds.set(
        origin.name,
        drawn(dtype, known, (i) => Number((i + seed) % 3 !== 0)),
      )
  }
  return feeds
}
