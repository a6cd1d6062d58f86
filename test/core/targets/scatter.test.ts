// ScatterND that reduces, as target portable writes it: places that come again and again, in ONNX Runtime with two threads, where
// its own ScatterND loses updates (microsoft/onnxruntime#23396).
import { describe, expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { type Graph, graph } from '../../../src/core/graph/graph.js'
import { type Numbers, numbers } from '../../../src/core/graph/tensor.js'
import { apply1, constant, input, nameOf, type Value } from '../../../src/core/graph/value.js'
import { gather, mul, reduceSum, ScatterND } from '../../../src/core/ops/index.js'
import { randomStream } from '../../../src/core/random.js'
import { portable } from '../../../src/core/targets/portable/index.js'
import { expectClose, modelOf, openModel } from '../../support/runtime.js'

const random = randomStream(1, 'scatter')
const filled = (dtype: 'float32' | 'int64', shape: readonly number[], next: () => number): Numbers =>
  numbers(dtype, shape, Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next))
const drawn = (...shape: number[]): Numbers => filled('float32', shape, () => Math.fround(random.normal()))

/** The runtime's results, a few times over, against the reference in float64. */
async function expectExact(y: Value, feeds: ReadonlyMap<Value, Numbers>): Promise<Graph> {
  const source = graph('scatter', [...feeds.keys()], { y })
  const named = new Map([...feeds].map(([value, given]) => [nameOf(value), given]))
  const expected = evaluate(source, named).get('y')!
  const session = await openModel(modelOf(source, 'inline'), 2)
  for (let run = 0; run < 4; run++) expectClose((await session.run(named)).get('y')!, expected, `run ${run}`)
  await session.close()
  return portable.lower(source)
}
const countOf = ({ nodes }: Graph, name: string) => nodes.filter(({ operator }) => operator.name === name).length

/** The gradient of a table of so many rows, in which words are looked up `count` times. */
async function embedding(rows: number, words: number, count = 4096) {
  const table = input('table', 'float32', [rows, 128])
  const places = input('places', 'int64', [count])
  const weights = input('weights', 'float32', [count, 128])
  const loss = reduceSum(mul(gather(table, places), weights), undefined, { keepdims: 0 })
  const [gradient] = gradients(loss, [table])
  const feeds = new Map([
    [weights, drawn(count, 128)],
    [places, filled('int64', [count], () => random.below(words) - (random.below(2) ? rows : 0))],
  ])
  return expectExact(gradient!, feeds)
}

describe('places that come more than once', () => {
  it('adds up the gradient of a large table, in which two words are looked up over and over', async () => {
    const lowered = await embedding(300, 2)
    expect([countOf(lowered, 'ScatterND'), countOf(lowered, 'ScatterElements')]).toEqual([0, 1])
  })

  it('takes a product for a table of few rows', async () => {
    const lowered = await embedding(3, 3)
    expect([countOf(lowered, 'ScatterElements'), countOf(lowered, 'MatMul')]).toEqual([0, 1])
  })

  it('scatters a few words: what is not finite in one row then stays there', async () => {
    const lowered = await embedding(3, 3, 20)
    expect([countOf(lowered, 'ScatterElements'), countOf(lowered, 'MatMul')]).toEqual([1, 0])
  })

  it.each(['add', 'mul', 'max', 'min'])(
    'reduces by %s at places of several axes, from the end too',
    async (reduction) => {
      const x = input('x', 'float32', [3, 4, 64])
      const places = input('places', 'int64', [64, 32, 2])
      const updates = input('updates', 'float32', [64, 32, 64])
      const feeds = new Map([
        [x, drawn(3, 4, 64)],
        [places, filled('int64', [64, 32, 2], () => random.below(6) - 3)],
        // Of 2,048 factors near 1 the product stays a number.
        [updates, filled('float32', [64, 32, 64], () => Math.fround(1 + 0.01 * random.normal()))],
      ])
      await expectExact(apply1(ScatterND, [x, places, updates], { reduction }), feeds)
    },
  )

  it('scatters known places in as many rounds as one of them comes, and each at once where they are apart', async () => {
    const x = input('x', 'float32', [2048, 16])
    const updates = input('updates', 'float32', [2048, 16])
    const feeds = new Map([
      [x, drawn(2048, 16)],
      [updates, drawn(2048, 16)],
    ])
    const at = async (place: (i: number) => number) => {
      const places = constant(
        'int64',
        Array.from({ length: 2048 }, (_, i) => place(i)),
        [2048, 1],
      )
      return expectExact(apply1(ScatterND, [x, places, updates], { reduction: 'add' }), feeds)
    }
    expect(countOf(await at((i) => i), 'ScatterND')).toBe(1)
    expect(countOf(await at((i) => i >> 1), 'ScatterND')).toBe(2)
    const often = await at((i) => i % 7)
    expect([countOf(often, 'ScatterND'), countOf(often, 'ScatterElements')]).toEqual([0, 1])
  })
})
