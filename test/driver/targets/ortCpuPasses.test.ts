// What target ort-cpu does around convolutions: one number an image and channel, masks without bools, products that transpose by
// themselves, single numbers of even rank. All compute what they did, in float64 and in ONNX Runtime.
import { describe, expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { type Graph, graph } from '../../../src/core/graph/graph.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { constant, input, type Value } from '../../../src/core/graph/value.js'
import {
  add,
  cast,
  conv,
  div,
  expand,
  gather,
  globalAveragePool,
  greater,
  hardSigmoid,
  layerNormalization,
  less,
  matmul,
  mul,
  reduceSum,
  relu,
  reshape,
  sub,
  transpose,
} from '../../../src/core/ops/index.js'
import { ortCpu } from '../../../src/driver/targets/ort-cpu/index.js'
import { byName, drawnFor, machineBlock } from '../../support/blocks.js'
import { expectClose, modelOf, openModel, type Tensors } from '../../support/runtime.js'

const block = machineBlock ?? 8
const count = ({ nodes }: Graph, name: string): number => nodes.filter(({ operator }) => operator.name === name).length

/** Lowered; it computes the same as before. */
async function lowered(inputs: readonly Value[], outputs: Readonly<Record<string, Value>>, given?: Tensors) {
  const source = graph('g', inputs, outputs)
  const feeds = given ?? byName(drawnFor(inputs, 'passes'))
  const result = ortCpu({ block }).lower(source)
  const [expected, actual] = [evaluate(source, feeds), evaluate(result, feeds)]
  for (const [name, value] of expected) expectClose(actual.get(name)!, value, name, 1e-10)
  if (machineBlock !== undefined) {
    const session = await openModel(modelOf(result, 'inline'), 2)
    const run = await session.run(feeds)
    await session.close()
    for (const [name, value] of expected) expectClose(run.get(name)!, value, `${name} in ONNX Runtime`, 1e-5)
  }
  return result
}

describe('squeeze and excitation', () => {
  const [n, c] = [3, 2 * block]
  const x = input('x', 'float32', [n, c, 5, 3])
  const [into, out, squeeze] = ['into', 'out', 'squeeze'].map((name) => input(name, 'float32', [c, c, 1, 1]))
  const shift = input('shift', 'float32', [c])
  const activation = conv(x, into!)
  const gate = hardSigmoid(conv(globalAveragePool(activation), squeeze!, { bias: shift }))
  const loss = reduceSum(mul(conv(mul(gate, activation), out!), x), undefined, { keepdims: 0 })
  const parameters = [into!, out!, squeeze!, shift]
  const names = ['into', 'out', 'squeeze', 'shift']

  it('stays in blocks, forward and backward', async () => {
    const found = gradients(loss, parameters)
    const outputs = { loss, ...Object.fromEntries(names.map((name, i) => [`d${name}`, found[i]!])) }
    const result = await lowered([x, ...parameters], outputs)
    const isImage = (value: Value | undefined) => value?.shape.join() === x.shape.join()
    const plain = ['Mul', 'Expand', 'ReduceSum', 'GlobalAveragePool']
    const left = result.nodes.filter(
      ({ operator: { name, domain }, outputs: [y], inputs: [first, second] }) =>
        domain === '' &&
        plain.includes(name) &&
        isImage(y) &&
        first!.shape[1] === c &&
        !(isImage(first) && isImage(second)),
    )
    expect(left.map(({ operator }) => operator.name)).toEqual([])
    // The image comes plain, twice, and so does what the loss multiplies it with.
    const images = result.nodes.filter(
      ({ operator, outputs: [y] }) => operator.name.startsWith('Reorder') && isImage(y),
    )
    expect(images.length).toBeLessThanOrEqual(4)
  })

  it('takes one image, a single place, and a factor of another shape', async () => {
    const one = input('one', 'float32', [1, c, 4, 4])
    const place = input('place', 'float32', [2, c, 1, 1])
    const per = input('per', 'float32', [1, c, 1, 1])
    const y = conv(one, into!)
    await lowered([one, into!, per], { y: mul(y, per), z: mul(globalAveragePool(y), y), w: expand(per, [1, c, 3, 2]) })
    await lowered([place, into!, per], {
      y: mul(conv(place, into!), per),
      z: relu(conv(place, into!)),
      w: reduceSum(conv(place, into!), [2, 3]),
      v: expand(place, [2, c, 1, 1]),
    })
  })
})

describe('masks', () => {
  const x = input('x', 'float32', [12])
  const edges = [-2, -1e-30, -0, 0, 1.2e-38, 0.5, 1 - 2 ** -24, 1, 1 + 2 ** -23, 3, 3e38, -3e38]
  const feeds: Tensors = new Map([['x', numbers('float32', [12], Float64Array.from(edges, Math.fround))]])

  it('are right at the edges, without bools', async () => {
    const mask = (condition: Value) => cast(condition, 'float32')
    const outputs = { positive: mask(greater(x, 0)), negative: mask(less(x, 0)), below: mask(less(x, 1)) }
    const result = await lowered([x], outputs, feeds)
    expect(result.nodes.map(({ operator }) => operator.name)).toEqual(Array(3).fill('HardSigmoid'))
  })

  it('of other bounds, and of others than floats, stay', async () => {
    const whole = input('whole', 'int64', [3])
    const places = cast(less(whole, constant('int64', 1)), 'float32')
    const given = new Map([...feeds, ['whole', numbers('int64', [3], [0, 1, 2])] as const])
    const result = await lowered([x, whole], { two: cast(greater(x, 2), 'float32'), places }, given)
    expect(count(result, 'HardSigmoid')).toBe(0)
  })

  it('make the gradient of HardSigmoid', async () => {
    const y = hardSigmoid(x, { alpha: 0.5, beta: 0.25 })
    const [dx] = gradients(reduceSum(y, undefined, { keepdims: 0 }), [x])
    expect(count(await lowered([x], { dx: dx! }, feeds), 'Cast')).toBe(0)
  })
})

describe('products', () => {
  it('transpose their operands by themselves where the last two axes change places', async () => {
    const a = input('a', 'float32', [3, 4, 5])
    const b = input('b', 'float32', [3, 6, 4])
    const m = input('m', 'float32', [6, 4])
    const outputs = {
      both: matmul(transpose(a, [0, 2, 1]), transpose(b, [0, 2, 1])),
      right: matmul(transpose(a, [0, 2, 1]), transpose(m, [1, 0])),
      left: matmul(m, a),
    }
    const result = await lowered([a, b, m], outputs)
    expect([count(result, 'Transpose'), count(result, 'FusedMatMul'), count(result, 'MatMul')]).toEqual([0, 2, 1])
  })

  it('leave other transposes, and those of float64', async () => {
    const heads = input('heads', 'float32', [2, 3, 4, 5])
    const values = input('values', 'float32', [2, 5, 4, 6])
    const exact = input('exact', 'float64', [3, 4])
    const other = input('other', 'float64', [3, 2])
    const result = await lowered([heads, values, exact, other], {
      mixed: matmul(transpose(heads, [0, 2, 1, 3]), transpose(values, [0, 2, 1, 3])),
      product: matmul(transpose(exact, [1, 0]), other),
    })
    expect([count(result, 'Transpose'), count(result, 'FusedMatMul')]).toEqual([3, 0])
  })

  it('copy whole rows where a transpose stays: before a product, and behind one', async () => {
    const heads = input('heads', 'float32', [2, 3, 4, 5])
    const values = input('values', 'float32', [2, 4, 3, 3])
    const queries = transpose(heads, [0, 2, 1, 3])
    const scores = matmul(queries, transpose(heads, [0, 2, 3, 1]))
    const back = transpose(matmul(transpose(scores, [0, 1, 3, 2]), values), [0, 3, 1, 2])
    const result = await lowered([heads, values], { back })
    const perms = result.nodes.flatMap(({ operator, attributes }) =>
      operator.name === 'Transpose' ? [String(attributes.perm)] : [],
    )
    expect(perms).toEqual(['0,2,1,3', '0,2,1,3', '0,2,1,3'])
  })

  it('are turned around where their own transpose is all that is asked for', async () => {
    const [a, b] = [input('a', 'float32', [4, 5]), input('b', 'float32', [5, 6])]
    const result = await lowered([a, b], { y: transpose(matmul(a, b), [1, 0]) })
    expect(result.nodes.map(({ operator }) => operator.name)).toEqual(['FusedMatMul'])
  })

  it('take in known factors, unless the product is used as well', async () => {
    const [a, b] = [input('a', 'float32', [2, 3, 5]), input('b', 'float32', [2, 5, 4])]
    const scaled = await lowered([a, b], { y: div(mul(0.125, mul(matmul(a, b), 4)), 3) })
    expect(scaled.nodes.map(({ operator }) => operator.name)).toEqual(['FusedMatMul'])
    const used = matmul(a, b)
    expect(count(await lowered([a, b], { used, y: mul(used, 4) }), 'Mul')).toBe(1)
    const vector = constant('float32', [1, 2, 3, 4], [4])
    expect(count(await lowered([a, b], { y: mul(matmul(a, b), vector) }), 'Mul')).toBe(1)
  })

  it('take in known factors of their operands, through shapes and transposes', async () => {
    const [a, b] = [input('a', 'float32', [2, 3, 5]), input('b', 'float32', [5, 4])]
    // As a network has it whose last activation ends in a factor: forward, and for the gradient of the weight.
    const half = mul(a, 0.5)
    const result = await lowered([a, b], {
      y: matmul(half, mul(b, 3)),
      gradient: matmul(transpose(reshape(half, [6, 5]), [1, 0]), reshape(half, [6, 5])),
    })
    expect([count(result, 'FusedMatMul'), count(result, 'Mul')]).toEqual([2, 0])
    const rows = constant('float32', [1, 2, 3], [3, 1])
    expect(count(await lowered([a, b], { y: matmul(mul(a, rows), b) }), 'Mul')).toBe(1)
    const exact = [input('a', 'float64', [3, 4]), input('b', 'float64', [4, 2])] as const
    expect(count(await lowered(exact, { y: matmul(mul(exact[0], 0.5), exact[1]) }), 'Mul')).toBe(1)
  })

  it('add up many rows', async () => {
    const x = input('x', 'float32', [64, 8, 3, 5])
    const sums = (...axes: number[]) => reduceSum(x, axes, { keepdims: 0 })
    const result = await lowered([x], {
      two: sums(0, 1),
      kept: reduceSum(x, [0, 1, 2]),
      few: sums(0),
      inner: sums(2, 3),
    })
    expect([count(result, 'MatMul'), count(result, 'ReduceSum')]).toEqual([2, 2])
  })

  it('leave sums of so many rows that a file would hold ones for most of its size', () => {
    const x = input('x', 'float32', [10 ** 11, 2])
    const result = ortCpu({ block }).lower(graph('g', [x], { sum: reduceSum(x, [0]) }))
    expect([count(result, 'MatMul'), count(result, 'ReduceSum')]).toEqual([0, 1])
  })
})

describe('sums of products', () => {
  const inputs = Array.from({ length: 5 }, (_, i) => [
    input(`a${i}`, 'float32', [3, 4]),
    input(`b${i}`, 'float32', [3, 6]),
  ])
  const products = inputs.map(([a, b]) => matmul(transpose(a!, [1, 0]), b!))
  const other = input('other', 'float32', [4, 6])
  const all = [...inputs.flat(), other]

  it('of a weight that is used over and over are one product of all rows', async () => {
    const result = await lowered(all, { y: products.reduce((sum, one) => add(one, sum), other) })
    expect([count(result, 'FusedMatMul'), count(result, 'Concat'), count(result, 'Add')]).toEqual([1, 2, 1])
  })

  it('leave what is used as well, and a few', async () => {
    const sum = products.slice(0, 4).reduce((a, b) => add(a, b))
    const used = await lowered(all, { y: add(sum, products[4]!), first: products[0]!, second: products[1]! })
    expect([count(used, 'FusedMatMul'), count(used, 'Concat')]).toEqual([5, 0])
    const whole = await lowered(all, { sum, y: add(sum, products[4]!) })
    expect([count(whole, 'FusedMatMul'), count(whole, 'Concat')]).toEqual([2, 2])
  })
})

describe('scatters', () => {
  it('add to what their result is added to', async () => {
    const table = input('table', 'float32', [300, 6])
    const words = input('words', 'int64', [4, 5])
    const weights = input('weights', 'float32', [4, 5, 6])
    const loss = reduceSum(mul(gather(table, words), weights), undefined, { keepdims: 0 })
    const [gradient] = gradients(loss, [table])
    const feeds = byName(drawnFor([table, weights], 'scatters')).set(
      'words',
      numbers(
        'int64',
        [4, 5],
        [...Array(20)].map((_, i) => i % 7),
      ),
    )
    const next = { y: add(gradient!, mul(table, 0.5)) }
    const result = await lowered([table, words, weights], next, feeds)
    expect([count(result, 'ScatterElements'), count(result, 'Add')]).toEqual([1, 0])
    const both = await lowered([table, words, weights], { ...next, gradient: gradient! }, feeds)
    expect(count(both, 'Add')).toBe(1)
  })
})

describe('layer normalization', () => {
  it('is passes by all threads, and its gradient takes what they computed', async () => {
    const x = input('x', 'float32', [4, 6, 8])
    const [scale, bias] = [input('scale', 'float32', [8]), input('bias', 'float32', [8])]
    const y = layerNormalization(x, { scale, bias })
    const [dx, dscale] = gradients(reduceSum(mul(y, mul(y, x)), undefined, { keepdims: 0 }), [x, scale])
    const result = await lowered([x, scale, bias], { y, dx: dx!, dscale: dscale! })
    expect(count(result, 'LayerNormalization')).toBe(0)
    const centred = result.nodes.filter(({ operator, inputs: [first] }) => operator.name === 'Sub' && first === x)
    expect(centred.length).toBe(1)
  })
})

describe('single numbers', () => {
  it('get as many axes as a tensor that ends in one place', async () => {
    const weights = input('weights', 'float32', [6, 4, 1, 1])
    const kernel = input('kernel', 'float32', [6, 4, 3, 3])
    const [rate, ones] = [input('rate', 'float32', []), input('ones', 'float32', [1, 1])]
    const next = (w: Value) => sub(w, mul(rate, w))
    const result = await lowered([weights, kernel, rate, ones], {
      y: next(weights),
      z: next(kernel),
      twice: mul(mul(weights, 2), ones),
    })
    const ranks = result.nodes
      .filter(({ operator }) => operator.name === 'Mul')
      .map(({ inputs }) =>
        inputs
          .map((value) => value!.shape.length)
          .sort()
          .join(),
      )
    expect(ranks.sort()).toEqual(['0,4', '4,4', '4,4', '4,4'])
    // One value is brought to one rank once.
    expect(count(result, 'Reshape')).toBe(2)
  })
})
