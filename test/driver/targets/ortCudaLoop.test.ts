// Several training steps in one run: what single steps give, one after the other, on batches that the host cuts.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { specialize } from '../../../src/core/graph/specialize.js'
import { type DType, type Numbers, numbers } from '../../../src/core/graph/tensor.js'
import { input } from '../../../src/core/graph/value.js'
import { parametersAsInputs } from '../../../src/core/model/write.js'
import { randomStream } from '../../../src/core/random.js'
import { isPrimitive } from '../../../src/core/targets/target.js'
import { trainingStep } from '../../../src/core/training/step.js'
import { cropImage } from '../../../src/driver/data/augment.js'
import { cutBatch } from '../../../src/driver/targets/ort-cuda/augment.js'
import type { Precision } from '../../../src/driver/targets/ort-cuda/index.js'
import { evaluationSteps, lossScaling, stepNodes, trainingSteps } from '../../../src/driver/targets/ort-cuda/steps.js'
import { disturbed, type TinyName, tinyNames, tinyNetwork } from '../../support/networks.js'
import { expectClose, modelOf, openModel, relativeError, type Tensors } from '../../support/runtime.js'

const IMAGES = 11
const STEPS = 3
const BATCH = 4

interface Cut {
  readonly index: number
  readonly top: number
  readonly left: number
  readonly flip: boolean
}

const filled = (dtype: DType, shape: readonly number[], next: (i: number) => number): Numbers =>
  numbers(
    dtype,
    shape,
    Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => next(i)),
  )

const drawCut = (random: ReturnType<typeof randomStream>): Cut => ({
  index: random.below(IMAGES),
  top: random.below(9),
  left: random.below(9),
  flip: random.below(2) === 1,
})

/** The images of a batch as the driver's own augmentation makes them. */
function cutOnHost(dataset: Numbers, cuts: readonly Cut[]): Numbers {
  const [, channels, height, width] = dataset.shape as readonly [number, number, number, number]
  const size = channels * height * width
  const bytes = Uint8Array.from(dataset.data)
  const data = new Uint8Array(cuts.length * size)
  cuts.forEach(({ index, ...crop }, i) => {
    const from = bytes.subarray(index * size, (index + 1) * size)
    cropImage(from, data.subarray(i * size, (i + 1) * size), height, width, crop)
  })
  return numbers('uint8', [cuts.length, channels, height, width], Float64Array.from(data))
}

const feedsOfCuts = (cuts: readonly (readonly Cut[])[]): Map<string, Numbers> => {
  const all = cuts.flat()
  const shape = [cuts.length, cuts[0]!.length]
  return new Map([
    ['indices', filled('int64', shape, (i) => all[i]!.index)],
    ['crops', filled('int64', [...shape, 2], (i) => (i % 2 === 0 ? all[i >> 1]!.top : all[(i - 1) >> 1]!.left) - 4)],
    ['flips', filled('bool', shape, (i) => Number(all[i]!.flip))],
  ])
}

describe('batches cut in the graph', () => {
  it.each([
    [1, 9, 6],
    [3, 5, 8],
  ])('of %i × %i × %i images are those that the driver cuts', async (channels, height, width) => {
    const random = randomStream(3, 'cuts', channels)
    const dataset = filled('uint8', [IMAGES, channels, height, width], () => random.below(256))
    const cuts = Array.from({ length: 5 }, () => Array.from({ length: 7 }, () => drawCut(random)))
    // The corners, and the image as it is.
    cuts[0] = [0, 8].flatMap((top) => [0, 8].map((left) => ({ index: 2, top, left, flip: top === left })))
    cuts[0].push({ index: 10, top: 4, left: 4, flip: false }, { index: 0, top: 4, left: 4, flip: true }, cuts[1]![0]!)
    const images = input('images', 'uint8', ['count', channels, height, width])
    const named = {
      indices: input('indices', 'int64', ['steps', 'batch']),
      crops: input('crops', 'int64', ['steps', 'batch', 2]),
      flips: input('flips', 'bool', ['steps', 'batch']),
    }
    const step = input('step', 'int64', [])
    const cut = cutBatch(images, named, step)
    const source = graph('cut', [images, ...Object.values(named), step], { cut })
    const model = await openModel(modelOf(source, 'inline'))
    for (const [k, expected] of cuts.entries()) {
      const feeds = new Map([...feedsOfCuts(cuts), ['images', dataset], ['step', numbers('int64', [], [k])]])
      const wanted = cutOnHost(dataset, expected)
      expect(evaluate(source, feeds).get('cut')).toEqual(wanted)
      expect((await model.run(feeds)).get('cut')).toEqual(wanted)
    }
    await model.close()
  })
})

const stepOf = (name: TinyName) =>
  trainingStep(tinyNetwork(name), { momentum: 0.9, weightDecay: 1e-4, nesterov: name === 'RDM basic' })

const roles = (gates: boolean) => ({
  images: 'images',
  labels: 'labels',
  learningRate: 'learning_rate',
  loss: 'loss',
  correct: 'correct',
  ...(gates ? { gates: { name: 'gates' } } : {}),
})

/** A little data set, and what some steps on it are fed with. */
function trainingData(name: TinyName) {
  const step = stepOf(name)
  const open = parametersAsInputs(step.graph, step.graph.parameters)
  const random = randomStream(5, 'data', name)
  const [images] = tinyNetwork(name).inputs
  const dataset = filled('uint8', [IMAGES, ...(images!.shape.slice(1) as number[])], () => random.below(256))
  const labels = filled('int64', [IMAGES], () => random.below(10))
  const rates = filled('float32', [STEPS], (i) => Math.fround(0.1 / (i + 1)))
  const gates = step.survival.length > 0
  const open1 = filled('float32', [STEPS, step.survival.length], (i) => Number(i % 3 !== 0))
  const carried = Object.fromEntries([...step.updates].map(([state, output]) => [output, state]))
  const state = disturbed(step.graph, 5)
  return { step, open, random, dataset, labels, rates, gates: gates ? open1 : undefined, carried, state }
}

/** The float64 reference of single steps, one after the other. */
function singleSteps(data: ReturnType<typeof trainingData>, cuts: readonly (readonly Cut[])[]) {
  const { step, dataset, labels, rates, gates } = data
  let state: Tensors = data.state
  const loss: number[] = []
  const correct: number[] = []
  for (const [k, batch] of cuts.entries()) {
    const feeds = new Map([
      ...state,
      ['images', cutOnHost(dataset, batch)],
      ['labels', filled('int64', [batch.length], (i) => labels.data[batch[i]!.index]!)],
      ['learning_rate', numbers('float32', [], [rates.data[k]!])],
    ])
    const count = step.survival.length
    if (gates) feeds.set('gates', numbers('float32', [count], gates.data.slice(k * count, (k + 1) * count)))
    const outputs = evaluate(step.graph, feeds)
    loss.push(outputs.get('loss')!.data[0]!)
    correct.push(outputs.get('correct')!.data[0]!)
    state = new Map([...step.updates].map(([name, output]) => [name, outputs.get(output)!]))
  }
  return { loss, correct, state }
}

function stepsOf(data: ReturnType<typeof trainingData>, precision: Precision = 'fp32') {
  return trainingSteps(data.open, roles(data.gates !== undefined), data.carried, { precision })
}

function runFeeds(data: ReturnType<typeof trainingData>, cuts: readonly (readonly Cut[])[]): Map<string, Numbers> {
  const { dataset, labels, rates, gates, state, step } = data
  const n = cuts.length
  return new Map([
    ...state,
    ...feedsOfCuts(cuts),
    ['images', dataset],
    ['labels', labels],
    ['learning_rate', numbers('float32', [n], rates.data.slice(0, n))],
    ...(gates
      ? [
          [
            'gates',
            numbers('float32', [n, step.survival.length], gates.data.slice(0, n * step.survival.length)),
          ] as const,
        ]
      : []),
  ])
}

/** Some momenta have gradients that are nothing but rounding: their floor is a tenth of the largest that there are here. */
const floorOf = (name: string) => (name.endsWith('.momentum') ? 0.05 : 1e-3)

describe.each(tinyNames)('%s', (name) => {
  const data = trainingData(name)
  const steps = stepsOf(data)
  const cuts = Array.from({ length: STEPS }, () => Array.from({ length: BATCH }, () => drawCut(data.random)))
  const expected = singleSteps(data, cuts)

  const check = (outputs: Tensors, tolerance: number, wanted = expected) => {
    expect(
      relativeError(outputs.get('loss')!, numbers('float32', [wanted.loss.length], wanted.loss), 1e-3),
    ).toBeLessThan(tolerance)
    expect([...outputs.get('correct')!.data]).toEqual(wanted.correct)
    for (const [output, state] of Object.entries(steps.carried))
      expectClose(outputs.get(output)!, wanted.state.get(state)!, output, tolerance, floorOf(state))
  }

  it('gives in float64 what single steps give', () => {
    check(evaluate(steps.graph, runFeeds(data, cuts)), 1e-8)
  })

  it('gives in ONNX Runtime what single steps give, whatever the number of steps and of images', async () => {
    const model = await openModel(modelOf(steps.graph, 'inline'))
    check(await model.run(runFeeds(data, cuts)), 1e-4)
    const smaller = [cuts[0]!.slice(0, 3)]
    check(await model.run(runFeeds(data, smaller)), 1e-4, singleSteps(data, smaller))
    await model.close()
  })

  it('gives the same for a step that takes batches of one size alone', () => {
    const fixed = trainingSteps(specialize(data.open, { batch: BATCH }), roles(data.gates !== undefined), data.carried)
    expect(fixed.graph.inputs.flatMap(({ shape }) => shape)).not.toContain('batch')
    check(evaluate(fixed.graph, runFeeds(data, cuts)), 1e-8)
  })

  it('updates weights of one shape together, and holds nothing that waits for its target', () => {
    const nodes = stepNodes(steps.graph)
    expect(nodes.filter(isPrimitive)).toEqual([])
    // An update of momenta takes one node of each operator for all weights of one shape and one kind.
    const shapes = new Set(data.step.graph.parameters.map(({ shape }) => String(shape)))
    const updates = nodes.filter(
      ({ operator, inputs }) =>
        operator.name === 'Mul' &&
        inputs.some((x) => x?.origin.kind === 'input' && x.origin.name.startsWith('momenta')),
    )
    expect(updates.length).toBeGreaterThan(0)
    expect(updates.length).toBeLessThanOrEqual(shapes.size)
  })

  it('puts side by side only what is of one length, where there are many places', () => {
    // The CUDA provider fills a table of all places on the host where the parts differ.
    for (const { operator, inputs, outputs } of [...stepNodes(steps.graph), ...steps.graph.nodes]) {
      if (operator.name !== 'Concat' && operator.name !== 'Split') continue
      const [parts, [whole]] = operator.name === 'Concat' ? [inputs, outputs] : [outputs, inputs]
      const lengths = new Set(parts.map((part) => String(part!.shape)))
      // State vectors, and a black image before the data set.
      const few = whole!.shape.length === 1 || whole!.dtype === 'uint8'
      expect(lengths.size === 1 || few, `${operator.name} of ${[...lengths].join(' and ')}`).toBe(true)
    }
  })
})

describe('half precision', () => {
  const data = trainingData('RDM basic')
  const steps = stepsOf(data, 'fp16')
  const cuts = Array.from({ length: STEPS }, () => Array.from({ length: BATCH }, () => drawCut(data.random)))
  const expected = singleSteps(data, cuts)
  const scalar = (value: number) => numbers('float32', [], [value])
  const withScale = (scale: number, steady = 0) =>
    new Map([
      ...runFeeds(data, cuts),
      [lossScaling.scale, scalar(scale)],
      [lossScaling.steady, scalar(steady)],
      [lossScaling.skipped, scalar(0)],
    ])
  const opened = openModel(modelOf(steps.graph, 'inline'))
  const numberOf = (outputs: Tensors, name: string) => outputs.get(`${name}.next`)!.data[0]
  const norm = (values: Float64Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))

  it('is in float64 the same training', () => {
    const outputs = evaluate(steps.graph, withScale(1024))
    for (const [output, state] of Object.entries(data.carried))
      expectClose(outputs.get(output)!, expected.state.get(state)!, output, 1e-8, floorOf(state))
    expect([...outputs.get('loss_scales')!.data]).toEqual([1024, 1024, 1024])
  })

  it('rounds, and goes the same way', async () => {
    const outputs = await (await opened).run(withScale(1024))
    outputs.get('loss')!.data.forEach((loss, k) => {
      // Half precision has eleven bits: what it loses shows in the fourth digit of a step, not in the second.
      expect(Math.abs(loss / expected.loss[k]! - 1)).toBeLessThan(0.02)
    })
    expect([...outputs.get('loss')!.data]).not.toEqual(expected.loss.map(Math.fround))
    for (const [output, state] of Object.entries(data.carried).filter(([, state]) => /conv\d.weight$/.test(state))) {
      const moved = (values: Numbers) => values.data.map((value, i) => value - data.state.get(state)!.data[i]!)
      const [actual, wanted] = [moved(outputs.get(output)!), moved(expected.state.get(state)!)]
      expect(norm(actual.map((value, i) => value - wanted[i]!)) / norm(wanted), output).toBeLessThan(0.05)
    }
    expect(numberOf(outputs, lossScaling.scale)).toBe(1024)
    expect(numberOf(outputs, lossScaling.steady)).toBe(3)
    expect(numberOf(outputs, lossScaling.skipped)).toBe(0)
  })

  it('takes no step whose gradients overflow, counts them, and halves the scale', async () => {
    const outputs = await (await opened).run(withScale(2 ** 40, 7))
    for (const [output, state] of Object.entries(data.carried))
      expect([...outputs.get(output)!.data], output).toEqual([...data.state.get(state)!.data])
    expect(outputs.get('loss')!.data.every(Number.isFinite)).toBe(true)
    expect([...outputs.get('loss_scales')!.data]).toEqual([2 ** 40, 2 ** 39, 2 ** 38])
    expect(numberOf(outputs, lossScaling.scale)).toBe(2 ** 37)
    expect(numberOf(outputs, lossScaling.steady)).toBe(0)
    expect(numberOf(outputs, lossScaling.skipped)).toBe(3)
  })

  it('doubles the scale after two thousand steady steps', async () => {
    const outputs = await (await opened).run(withScale(64, 1998))
    expect([...outputs.get('loss_scales')!.data]).toEqual([64, 64, 128])
    expect(numberOf(outputs, lossScaling.scale)).toBe(128)
    expect(numberOf(outputs, lossScaling.steady)).toBe(1)
  })

  it('computes every convolution and product in half precision, and nothing else', () => {
    const nodes = stepNodes(steps.graph)
    const half = nodes.filter(({ outputs }) => outputs.some(({ dtype }) => dtype === 'float16'))
    const heavy = ['Conv', 'ConvTranspose', 'FusedMatMul', 'Gemm']
    const moves = ['Cast', 'Reshape', 'Split', 'Pad', 'Gather', 'Flatten']
    expect(half.filter(({ operator }) => ![...heavy, ...moves].includes(operator.name))).toEqual([])
    const single = nodes.filter(({ operator, outputs: [y] }) => heavy.includes(operator.name) && y!.dtype !== 'float16')
    expect(single).toEqual([])
    // Weights of one shape are made half precision at once.
    const weights = half.filter(({ operator, inputs: [x] }) => operator.name === 'Cast' && x!.origin.kind === 'input')
    const shapes = new Set(weights.map(({ inputs: [x] }) => String(x!.shape.slice(1))))
    expect(weights.length).toBeGreaterThan(0)
    expect(shapes.size).toBeGreaterThanOrEqual(weights.length / 2)
  })
})

describe('evaluation in a loop', () => {
  it('gives the logits of the network, batch after batch', async () => {
    const network = tinyNetwork('RDM basic, stochastic depth')
    const random = randomStream(9, 'evaluation')
    const [images] = network.inputs
    const dataset = filled('uint8', [IMAGES, ...(images!.shape.slice(1) as number[])], () => random.below(256))
    const state = disturbed(network, 3)
    const source = evaluationSteps(parametersAsInputs(network, network.parameters), 'images')
    const model = await openModel(modelOf(source, 'inline'))
    const order = [3, 10, 0, 0, 7, 1]
    const feeds = new Map([...state, ['images', dataset], ['indices', numbers('int64', [3, 2], order)]])
    const { logits } = Object.fromEntries(await model.run(feeds))
    await model.close()
    const size = dataset.data.length / IMAGES
    const picked = order.flatMap((index) => [...dataset.data.subarray(index * size, (index + 1) * size)])
    const all = evaluate(
      network,
      new Map([...state, ['images', numbers('uint8', [6, ...dataset.shape.slice(1)], picked)]]),
    )
    expectClose(logits!, numbers('float32', [3, 2, 10], all.get('logits')!.data), 'logits')
  })
})
