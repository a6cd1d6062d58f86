// The gradient along single paths: against central differences in float64 of networks in which every other edge is a constant,
// against the whole gradient, and in ONNX Runtime for all paths of a network.
import { InferenceSession } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import type { BlockNetwork } from '../../../graphs/blocks.js'
import { type Architecture, totalBlocks } from '../../../graphs/residual.js'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluate, evaluateValues } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { rewrite } from '../../../src/core/graph/rewrite.js'
import { type Numbers, narrow, numbers } from '../../../src/core/graph/tensor.js'
import { constantTensor, input, type Value } from '../../../src/core/graph/value.js'
import { exportGraph } from '../../../src/core/model/write.js'
import { add, softmaxCrossEntropy } from '../../../src/core/ops/index.js'
import { randomStream } from '../../../src/core/random.js'
import { pathGradient } from '../../../src/study/paths/gradient.js'
import { measurePaths } from '../../../src/study/paths/measure.js'
import type { Path } from '../../../src/study/paths/sampling.js'
import { architectures, asSession, everyPath, lengthOf, noise, oneImage, tinyTrained } from './support.js'

type Weights = ReadonlyMap<string, Numbers>

/** The path's gradient by the graph that is tested, in float64. */
function pathGradientOf(network: BlockNetwork, weights: Weights, image: Record<string, Numbers>, open: number[]) {
  const edges = numbers('float32', [1, open.length, 1, 1], open)
  return evaluate(pathGradient(network), new Map([...weights, ...Object.entries(image), ['edges', edges]])).get(
    'gradient',
  )!
}

const openEdges = (path: Path, edges: number): number[] =>
  [...path].flatMap((taken) => Array.from({ length: edges }, (_, edge) => Number(edge === taken)))

/** The loss of one image by its pixels, in a network where what is not on the path is a constant. */
function cutLoss({ graph: whole, pixels, blocks }: BlockNetwork, weights: Weights, images: Numbers, path: Path) {
  const given = new Map<Value, Numbers>(whole.parameters.map((value) => [value, weights.get(value.origin.name)!]))
  given.set(whole.inputs[0]!, images)
  const edges = blocks.map((block) => [block.shortcut, ...block.functions])
  const values = edges.map((of) => evaluateValues(of, given))
  const [at] = evaluateValues([pixels], given) as [Numbers]
  const moved = input('pixels', 'float32', pixels.shape)
  const cut = rewrite(
    whole,
    (node, inputs) => {
      if (node.outputs[0] === pixels) return [moved]
      for (const [b, block] of blocks.entries()) {
        const i = block.functions.indexOf(node.outputs[0]!)
        if (i >= 0 && path[b] !== i + 1) return [constantTensor(values[b]![i + 1]!)]
        if (node.outputs[0] === block.sum && path[b] !== 0) return [add(constantTensor(values[b]![0]!), inputs[1]!)]
      }
      return undefined
    },
    { inputs: [moved] },
  )
  return (label: number, delta: Float64Array): number => {
    const shifted = numbers(
      'float32',
      at.shape,
      at.data.map((value, i) => value + delta[i]!),
    )
    const { data } = evaluate(cut, new Map([...weights, ['pixels', shifted]])).get('logits')!
    return Math.log(data.reduce((sum, logit) => sum + Math.exp(logit), 0)) - data[label]!
  }
}

/** The derivative along a direction, by central differences. */
function slope(loss: (label: number, delta: Float64Array) => number, label: number, direction: Float64Array): number {
  const h = 1e-5
  const at = (step: number) =>
    loss(
      label,
      direction.map((value) => step * value),
    )
  return (at(h) - at(-h)) / (2 * h)
}

const cases = Object.entries(architectures) as [string, Architecture][]

describe.each(cases)('%s', (_, architecture) => {
  const { network, weights } = tinyTrained(architecture)
  const edges = 1 + architecture.functions.length
  const blocks = totalBlocks(architecture)
  const paths = everyPath(blocks, edges)
  const image = oneImage(noise(1, 8), 0)
  const found = paths.map((path) => pathGradientOf(network, weights, image, openEdges(path, edges)))

  it('has the gradient of a network in which all other edges are constants, along each path', () => {
    const random = randomStream(3, 'direction')
    for (const [i, path] of paths.entries()) {
      const direction = Float64Array.from({ length: 3 * 64 }, () => random.normal())
      const loss = cutLoss(network, weights, image.images, path)
      const expected = slope(loss, image.labels.data[0]!, direction)
      const actual = found[i]!.data.reduce((sum, value, at) => sum + value * direction[at]!, 0)
      const size = Math.hypot(...found[i]!.data)
      expect(size).toBeGreaterThan(0)
      // Differences of losses are rounded to some 1e-16 / 1e-5.
      expect(Math.abs(actual - expected), `path ${path}`).toBeLessThan(1e-5 * size + 1e-10)
    }
  })

  it('has path gradients that add up to the whole gradient', () => {
    const labels = input('labels', 'int64', ['batch'])
    const [loss] = softmaxCrossEntropy(network.graph.outputs.get('logits')!, labels)
    const [whole] = gradients(loss, [network.pixels]) as [Value]
    const plain = graph('whole', [...network.graph.inputs, labels], { whole })
    const expected = evaluate(plain, new Map([...weights, ...Object.entries(image)])).get('whole')!
    const sum = expected.data.map((_, at) => found.reduce((total, { data }) => total + data[at]!, 0))
    const open = pathGradientOf(network, weights, image, new Array<number>(blocks * edges).fill(1))
    const size = Math.hypot(...expected.data)
    const apart = (values: Float64Array) => Math.hypot(...values.map((value, at) => value - expected.data[at]!)) / size
    expect(apart(sum)).toBeLessThan(1e-12)
    expect(apart(open.data)).toBeLessThan(1e-12)
    // No path alone is it.
    expect(Math.min(...found.map(({ data }) => apart(data)))).toBeGreaterThan(1e-3)
  })
})

describe('measured in ONNX Runtime', () => {
  const { network, weights } = tinyTrained(architectures['two functions, one without its first ReLU'])
  const set = noise(5, 8)
  const options = { blocks: 3, r: 2, set, images: [1, 4], seed: 1 }
  const norms = (length: number) =>
    everyPath(3, 3)
      .filter((path) => lengthOf(path) === length)
      .flatMap((path) =>
        options.images.map((index) => {
          const found = pathGradientOf(network, weights, oneImage(set, index), openEdges(path, 3))
          return Math.hypot(...found.data)
        }),
      )
  const rising = (values: ArrayLike<number>) => Array.from(values).sort((a, b) => a - b)

  it('takes every path with every image where there are no more, and else draws among them', async () => {
    const session = await InferenceSession.create(
      exportGraph(pathGradient(network), new Map([...weights].map(([name, value]) => [name, narrow(value)]))),
      { intraOpNumThreads: 1 },
    )
    const all = (await measurePaths(asSession(session), 'images', { ...options, samples: 24 }))!
    expect(all.map(({ complete }) => complete)).toEqual([true, true, true, true])
    for (const [length, { norms: found }] of all.entries()) {
      const [actual, expected] = [rising(found), rising(norms(length))]
      expect(actual).toHaveLength(expected.length)
      actual.forEach((value, i) => {
        expect(Math.abs(value / expected[i]! - 1)).toBeLessThan(1e-4)
      })
    }
    const some = (await measurePaths(asSession(session), 'images', { ...options, samples: 15 }))!
    expect(some.map(({ complete, norms: found }) => [complete, found.length])).toEqual([
      [true, 2],
      [true, 12],
      [false, 15],
      [false, 15],
    ])
    for (const norm of some[2]!.norms)
      expect(Math.min(...[...all[2]!.norms].map((other) => Math.abs(norm / other - 1)))).toBeLessThan(1e-4)
    expect(new Set(some[2]!.norms).size).toBeGreaterThan(5)
    const again = await measurePaths(asSession(session), 'images', { ...options, samples: 15 })
    expect(again).toEqual(some)
    expect(await measurePaths(asSession(session), 'images', { ...options, samples: 15, seed: 2 })).not.toEqual(some)
    await session.release()
  })

  const constantGradient = (value: number) => ({
    run: async () => {
      const gradient = { dtype: 'float32' as const, shape: [50, 1], data: new Float32Array(50).fill(value) }
      return { gradient }
    },
  })

  it('stops between batches, and says how far it is', async () => {
    const stopping = new AbortController()
    const seen: [number, number][] = []
    const onProgress = (done: number, total: number) => {
      seen.push([done, total])
      if (done === 100) stopping.abort()
    }
    const watch = { signal: stopping.signal, onProgress }
    const images = Array.from({ length: 10 }, (_, i) => i % 5)
    const result = await measurePaths(constantGradient(1), 'images', { ...options, ...watch, samples: 1000, images })
    expect(result).toBeUndefined()
    // Of 27 paths with ten images.
    expect(seen).toEqual([
      [0, 270],
      [50, 270],
      [100, 270],
    ])
  })

  it('refuses a gradient that is not finite', async () => {
    const run = measurePaths(constantGradient(Number.POSITIVE_INFINITY), 'images', { ...options, samples: 10 })
    await expect(run).rejects.toThrow(
      /^the gradient is not finite: the training of this model has diverged; train it anew$/,
    )
  })
})
