// What goes into convolutions and what stays blocked: drawn graphs in which values are used again and again, and those few
// in which a wrong turn would show.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { type Graph, graph } from '../../../src/core/graph/graph.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { apply, apply1, constant, input, type Value } from '../../../src/core/graph/value.js'
import {
  add,
  BatchNormalization,
  batchNormalization,
  batchNormTraining,
  cast,
  conv,
  exp,
  gate,
  globalAveragePool,
  greater,
  MaxPool,
  MaxPoolGrad,
  max,
  maxPool,
  mul,
  neg,
  ReluGrad,
  relu,
  sigmoid,
  slice,
  sub,
  where,
} from '../../../src/core/ops/index.js'
import { randomStream } from '../../../src/core/random.js'
import { ortCpu } from '../../../src/driver/targets/ort-cpu/index.js'
import { blocks, byName, drawnFor, machineBlock } from '../../support/blocks.js'
import { expectClose, modelOf, openModel, type Tensors } from '../../support/runtime.js'

const C = 16
const image = input('image', 'float32', [2, C, 3, 4])
const other = input('other', 'float32', [2, C, 3, 4])
const kernel = input('kernel', 'float32', [C, C, 3, 3])
const point = input('point', 'float32', [C, C, 1, 1])
const bias = input('bias', 'float32', [C])
const scale = input('scale', 'float32', [C])
const open = input('open', 'float32', [])
const variance = input('variance', 'float32', [C])
const channel = input('channel', 'float32', [1, C, 1, 1])
const inputs = [image, other, kernel, point, bias, scale, open, variance, channel]
const vectors = { scale, shift: bias, mean: scale, variance }

/** Feeds for those inputs; variances are positive. */
function feedsFor(): Tensors {
  const feeds = byName(drawnFor(inputs, 'fusion'))
  const drawn = feeds.get('variance')!
  return feeds.set(
    'variance',
    numbers(
      'float32',
      [C],
      drawn.data.map((value) => Math.fround(0.5 + Math.abs(value))),
    ),
  )
}
const feeds = feedsFor()

const window = { pads: [1, 1, 1, 1] }
const plainConv = (x: Value) => conv(x, kernel, window)

/** Convolutions that cost something: not those of one channel each. */
const heavy = ({ nodes }: Graph): number =>
  nodes.filter(({ operator, attributes }) => operator.name === 'Conv' && attributes.group === 1).length
const count = ({ nodes }: Graph, name: string): number => nodes.filter(({ operator }) => operator.name === name).length

/** Conversions of images: filters may be brought into their order by the same operators. */
const conversions = ({ nodes }: Graph): string[] =>
  nodes
    .filter(
      ({ operator, outputs: [y] }) => operator.name.startsWith('Reorder') && y!.shape.join() === image.shape.join(),
    )
    .map(({ operator }) => operator.name)
    .sort()

function lowered(source: Graph, block: number): Graph {
  const result = ortCpu({ block }).lower(source)
  const expected = evaluate(source, feeds)
  const actual = evaluate(result, feeds)
  expect([...actual.keys()]).toEqual([...expected.keys()])
  for (const [name, value] of expected) expectClose(actual.get(name)!, value, name, 1e-10)
  return result
}

const of = (outputs: Readonly<Record<string, Value>>): Graph => graph('g', inputs, outputs)

/** A graph of some twenty drawn operators on values of one shape, each of which may be used any number of times. */
function drawnGraph(seed: number): Graph {
  const random = randomStream(seed, 'fusion')
  const values: Value[] = [image, other]
  const any = () => values[Math.max(0, values.length - 1 - random.below(Math.min(values.length, 6)))]!
  const makers: readonly (() => Value)[] = [
    () => plainConv(any()),
    () => plainConv(any()),
    () => conv(any(), point, { bias }),
    () => conv(any(), point),
    () => relu(any()),
    () => relu(any()),
    () => add(any(), any()),
    () => add(any(), any()),
    () => add(any(), any()),
    () => add(any(), any()),
    () => batchNormalization(any(), vectors, { epsilon: 1e-3 }),
    () => batchNormTraining(any(), vectors)[0]!,
    () => gate(any(), 0.5, open),
    () => apply1(ReluGrad, [any(), any()]),
    () => mul(any(), any()),
    () => sub(any(), 0.5),
    () => add(any(), channel),
    () => where(greater(any(), any()), any(), any()),
  ]
  // Magnitudes stay where float32 is at home.
  const small = (x: Value) => mul(x, 0.25)
  for (let i = 0; i < 20; i++) {
    const made = makers[random.below(makers.length)]!()
    values.push(
      made.origin.kind === 'node' && made.origin.node.operator.name === 'Conv' && i % 3 === 0 ? small(made) : made,
    )
  }
  const middle = any()
  return of({ last: values.at(-1)!, middle, pooled: globalAveragePool(any()), sum: values.slice(-6).reduce(add) })
}

const seeds = Array.from({ length: 40 }, (_, i) => i)

describe('drawn graphs', () => {
  it.each(seeds)('graph %i computes the same, and no convolution twice', (seed) => {
    const source = drawnGraph(seed)
    const result = lowered(source, blocks[seed % 2]!)
    expect(heavy(result)).toBeLessThanOrEqual(heavy(source))
  })

  it.skipIf(machineBlock === undefined)('in ONNX Runtime', async () => {
    for (const seed of seeds.slice(0, 20)) {
      const source = drawnGraph(seed)
      const model = await openModel(modelOf(ortCpu({ block: machineBlock! }).lower(source), 'inline'))
      const actual = await model.run(feeds)
      await model.close()
      for (const [name, value] of evaluate(source, feeds))
        expectClose(actual.get(name)!, value, `${seed}: ${name}`, 1e-4)
    }
  })
})

describe.each(blocks)('in blocks of %i', (block) => {
  it('a ReLU and sums of several summands go into one convolution', () => {
    const [a, b, c] = [plainConv(image), conv(other, point), conv(image, point)]
    const result = lowered(of({ y: relu(add(add(a, b), c)) }), block)
    expect([heavy(result), count(result, 'Relu'), count(result, 'Add')]).toEqual([3, 0, 0])
  })

  it('so do many summands, one after the other', () => {
    const parts = [
      plainConv(image),
      conv(other, point),
      conv(image, point),
      plainConv(other),
      conv(image, point, { bias }),
    ]
    const source = of({ y: parts.reduce(add), z: [...parts].reverse().reduce((sum, part) => add(part, sum)) })
    lowered(source, block)
    const result = lowered(of({ y: relu(parts.reduce(add)) }), block)
    expect([heavy(result), count(result, 'Relu'), count(result, 'Add')]).toEqual([5, 0, 0])
  })

  it('a ReLU goes into a pass of batch norm whose result is used as well', () => {
    const norm = batchNormalization(plainConv(image), vectors, { epsilon: 0 })
    const result = lowered(of({ norm, active: relu(norm), more: add(norm, other) }), block)
    // What is still added is the variance and epsilon.
    expect([heavy(result), count(result, 'Relu'), count(result, 'Add')]).toEqual([1, 0, 1])
  })

  it('max pooling keeps blocks, and so does its gradient, where several hold the maximum as well', () => {
    const halves = { kernel_shape: [2, 2], strides: [2, 2] }
    // Zeros of a ReLU are alike.
    const x = relu(plainConv(image))
    const y = maxPool(x, halves)
    const back = apply1(MaxPoolGrad, [mul(y, y), x, y], { kernel_shape: [2, 2] })
    const result = lowered(of({ y: conv(y, point), back: add(back, plainConv(other)) }), block)
    expect(conversions(result)).toEqual(['ReorderInput', 'ReorderInput', 'ReorderOutput'])
  })

  it('max pooling whose places are asked for stays plain', () => {
    const [y, places] = apply(MaxPool, [plainConv(image)], { kernel_shape: [2, 2] })
    expect(count(lowered(of({ y: y!, places: places! }), block), 'MaxPool')).toBe(1)
  })

  it('sums of sums, in any order', () => {
    const part = (x: Value) => add(plainConv(x), conv(x, point))
    for (const y of [add(part(image), part(other)), add(image, part(other)), add(part(image), other)]) {
      const source = of({ y })
      const result = lowered(source, block)
      expect([heavy(result), count(result, 'Add')]).toEqual([heavy(source), 0])
    }
  })

  it('a sum that is used again is still there, and not computed twice', () => {
    const sum = add(plainConv(image), conv(image, point))
    const longer = add(sum, conv(other, point))
    const source = of({ sum, longer, most: add(longer, other), twice: add(sum, sum) })
    expect(heavy(lowered(source, block))).toBe(heavy(source))
  })

  it('a convolution that is used again is computed once', () => {
    const y = plainConv(image)
    const uses: Record<string, Value>[] = [
      { y, activated: relu(y) },
      { y, sum: add(y, other) },
      { activated: relu(y), sum: add(other, y) },
      { twice: add(y, y) },
      { activated: relu(y), pooled: globalAveragePool(y) },
    ]
    for (const outputs of uses) {
      const source = of(outputs)
      expect(heavy(lowered(source, block))).toBe(1)
    }
  })

  it('a summand of two sums counts in both', () => {
    const part = conv(image, point)
    const source = of({ a: add(plainConv(image), part), b: add(plainConv(other), part) })
    expect(heavy(lowered(source, block))).toBe(3)
  })

  it('nothing is added behind an activation', () => {
    const active = relu(plainConv(image))
    lowered(of({ y: add(active, other), z: relu(active) }), block)
    lowered(of({ y: add(relu(add(plainConv(image), other)), conv(other, point)) }), block)
    lowered(of({ y: relu(relu(plainConv(image))), z: add(add(relu(conv(image, point)), image), other) }), block)
  })

  it('a bias stays, with sums and activations', () => {
    const y = conv(image, point, { bias })
    const result = lowered(of({ y: relu(add(y, other)) }), block)
    expect([heavy(result), count(result, 'Relu'), count(result, 'Add')]).toEqual([1, 0, 0])
    lowered(of({ y: relu(add(add(y, other), image)), z: add(add(other, conv(other, point, { bias })), image) }), block)
  })

  it('batch norm in inference goes by its own epsilon', () => {
    const norm = (epsilon: number) => batchNormalization(plainConv(image), vectors, { epsilon })
    lowered(of({ some: norm(0.25), none: norm(0), active: relu(norm(1e-3)), sum: add(norm(1e-5), norm(0.5)) }), block)
  })

  it('batch norm in training gives statistics and normalized values', () => {
    const outputs = batchNormTraining(plainConv(image), vectors, { epsilon: 0.1, momentum: 0.75 })
    lowered(of(Object.fromEntries(outputs.map((value, i) => [`y${i}`, value]))), block)
  })

  it("ONNX's own batch norm in training has three results", () => {
    const operands = [plainConv(image), scale, bias, scale, variance]
    const outputs = apply(BatchNormalization, operands, { training_mode: 1, momentum: 0.75 })
    lowered(of(Object.fromEntries(outputs.map((value, i) => [`y${i}`, value]))), block)
  })

  it('elementwise operators stay blocked with operands of one shape and scalars only', () => {
    const y = plainConv(image)
    const result = lowered(
      of({ y: sigmoid(mul(neg(exp(mul(y, 0.1))), gate(y, 0.5, open))), z: max(y, plainConv(other)) }),
      block,
    )
    // Two images go in, two results come out.
    expect(conversions(result)).toEqual(['ReorderInput', 'ReorderInput', 'ReorderOutput', 'ReorderOutput'])
    // A number a channel meets the channels of the plain layout.
    lowered(of({ y: mul(y, channel), z: add(channel, y), w: add(y, mul(channel, 2)) }), block)
  })

  it('what is no float32 leaves the blocks', () => {
    const y = plainConv(image)
    lowered(of({ bigger: where(greater(y, other), y, other), whole: cast(cast(y, 'int64'), 'float32') }), block)
    lowered(of({ wide: cast(add(cast(y, 'float64'), cast(other, 'float64')), 'float32') }), block)
  })

  it('the first number of each image is the same in both layouts, no other is', () => {
    const y = plainConv(image)
    const corner = (starts: number[], ends: number[], axes = [1, 2, 3]) => slice(y, axes, starts, ends)
    lowered(
      of({
        corner: corner([0, 0, 0], [1, 1, 1]),
        next: corner([1, 0, 0], [2, 1, 1]),
        row: corner([0, 0, 0], [1, 1, 2]),
        channels: corner([0, 0, 0], [2, 1, 1]),
        first: corner([0], [1], [1]),
        images: corner([0, 0, 0], [1, 1, 1], [0, 2, 3]),
        last: corner([-1, -1, -1], [C, 3, 4]),
      }),
      block,
    )
  })

  it('outputs that are inputs, or the same value, stay so', () => {
    const y = relu(plainConv(image))
    const result = lowered(of({ y, again: y, image }), block)
    expect(result.outputs.get('image')).toBe(image)
    expect(heavy(result)).toBe(1)
  })

  it('constants are operands like others', () => {
    const ones = constant('float32', new Float64Array(2 * C * 12).fill(1), [2, C, 3, 4])
    lowered(of({ y: add(plainConv(image), ones), z: conv(ones, kernel, window) }), block)
  })
})
