// Bodies of loops: what belongs inside, what is captured, and the same loop in files and in ONNX Runtime.
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { type Graph, graph } from '../../../src/core/graph/graph.js'
import type { Body } from '../../../src/core/graph/operator.js'
import { printGraph } from '../../../src/core/graph/print.js'
import { type Numbers, narrow, numbers, type Tensor } from '../../../src/core/graph/tensor.js'
import { constant, input, parameter, scope, type Value } from '../../../src/core/graph/value.js'
import { GraphReader } from '../../../src/core/onnx/read.js'
import { decodeModel, encodeModel } from '../../../src/core/onnx/tensors.js'
import { writeModel } from '../../../src/core/onnx/write.js'
import { add, exp, gather, loop, matmul, mul, sub } from '../../../src/core/ops/index.js'

/** x ← x·exp(w) + rows[i], three times; the sums of all x on the way are stacked, in a loop inside the loop. */
function nested(): Graph {
  const x = input('x', 'float32', [2])
  const rows = input('rows', 'float32', [3, 2])
  const w = parameter('w', [2, 2], { kind: 'constant', value: 0 })
  const scale = scope('outside', () => exp(w))
  const { carried, stacked } = scope('loop', () =>
    loop(constant('int64', 3), { x }, (i, { x }) => {
      const next = scope('inside', () => add(matmul(x, scale), gather(rows, i)))
      const doubled = loop(constant('int64', 2), { y: next }, (_, { y }) => ({
        carried: { y: add(y, next) },
        stacked: {},
      }))
      return { carried: { x: next }, stacked: { tripled: doubled.carried.y } }
    }),
  )
  return graph('nested', [x, rows], { last: carried.x, tripled: stacked.tripled!, after: sub(carried.x, scale) })
}

const feeds = new Map([
  ['x', numbers('float32', [2], [1, -2])],
  ['rows', numbers('float32', [3, 2], [0.5, 1, -1, 2, 0.25, 0])],
  ['w', numbers('float32', [2, 2], [0.1, -0.2, 0.3, 0])],
])

/** The same, in plain numbers. */
function expected() {
  const e = [0.1, -0.2, 0.3, 0].map(Math.exp)
  const rows = [
    [0.5, 1],
    [-1, 2],
    [0.25, 0],
  ]
  let x = [1, -2]
  const tripled: number[] = []
  for (const [a, b] of rows) {
    x = [x[0]! * e[0]! + x[1]! * e[2]! + a!, x[0]! * e[1]! + x[1]! * e[3]! + b!]
    tripled.push(...x.map((value) => 3 * value))
  }
  return { last: x, tripled }
}

const close = (actual: ArrayLike<number>, wanted: readonly number[], digits = 12) => {
  expect(actual.length).toBe(wanted.length)
  wanted.forEach((value, i) => {
    expect(actual[i]).toBeCloseTo(value, digits)
  })
}

const loopsOf = ({ nodes }: Graph) => nodes.filter(({ operator }) => operator.name === 'Loop')
const operatorsOf = ({ nodes }: Graph) => nodes.map(({ operator }) => operator.name)

describe('a loop', () => {
  it('computes what the same steps one after the other compute', () => {
    const results = evaluate(nested(), feeds)
    close(results.get('last')!.data, expected().last)
    close(results.get('tripled')!.data, expected().tripled)
    expect(results.get('tripled')!.shape).toEqual([3, 2])
  })

  it('holds what depends on the iteration, and captures the rest', () => {
    const source = nested()
    const [outer] = loopsOf(source)
    const { graph: body, captured } = outer!.attributes.body as Body
    expect(operatorsOf(source)).toEqual(['Exp', 'Loop', 'Sub'])
    expect(operatorsOf(body)).toEqual(['MatMul', 'Gather', 'Add', 'Loop'])
    expect(captured).toBe(2)
    expect(source.parameters.map(({ origin }) => origin.name)).toEqual(['w'])
  })

  it('is written as ONNX has it, runs in ONNX Runtime, and reads back as the same loop', async () => {
    const source = nested()
    const weights = new Map([['w', narrow(feeds.get('w')!)]])
    const bytes = encodeModel(writeModel({ graph: source, weights }))
    const session = await InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 1 })
    const results = await session.run({
      x: new OrtTensor('float32', Float32Array.from(feeds.get('x')!.data), [2]),
      rows: new OrtTensor('float32', Float32Array.from(feeds.get('rows')!.data), [3, 2]),
    })
    await session.release()
    close(results.last!.data as Float32Array, expected().last, 5)
    close(results.tripled!.data as Float32Array, expected().tripled, 5)

    const reader = new GraphReader([])
    const again = reader.read(decodeModel(bytes).graph!)
    close(
      evaluate(again, new Map<string, Tensor | Numbers>([...feeds, ...reader.weights])).get('tripled')!.data,
      expected().tripled,
      6,
    )
    expect(operatorsOf((loopsOf(again)[0]!.attributes.body as Body).graph)).toEqual(['MatMul', 'Gather', 'Add', 'Loop'])
  })

  it('gives every value in a file its own name, inside and around it', () => {
    const { graph: proto } = decodeModel(
      encodeModel(writeModel({ graph: nested(), weights: new Map([['w', narrow(feeds.get('w')!)]]) })),
    )
    const names: string[] = []
    const collect = (graph: NonNullable<typeof proto>): void => {
      names.push(...graph.input!.map(({ name }) => name!), ...graph.initializer!.map(({ name }) => name!))
      for (const { output, attribute } of graph.node!) {
        names.push(...output!)
        for (const { g } of attribute!) if (g) collect(g as typeof graph)
      }
    }
    collect(proto!)
    expect(new Set(names).size).toBe(names.length)
  })

  it('prints its body below itself', () => {
    const text = printGraph(nested())
    expect(text).toMatch(/= Loop\(3, _, x, %0, rows\) \{body=body\}/)
    expect(text).toMatch(/^ {4}graph body\(iteration: int64\[\], condition: bool\[\], x: float32\[2\]/m)
  })

  it('refuses a carried value whose type changes', () => {
    const x = input('x', 'float32', [2])
    const grown = (y: Value) =>
      matmul(constant('float32', [1, 1, 1], [3, 1]), mul(gather(y, constant('int64', [0])), y))
    expect(() => loop(constant('int64', 2), { x }, (_, { x }) => ({ carried: { x: grown(x) }, stacked: {} }))).toThrow(
      /^(MatMul|Loop)/,
    )
    const halved = (y: Value) => gather(y, constant('int64', [0]))
    expect(() => loop(constant('int64', 2), { x }, (_, { x }) => ({ carried: { x: halved(x) }, stacked: {} }))).toThrow(
      /Loop: the body takes float32\[2\], gets float32\[2\] and gives float32\[1\]: a carried value keeps its type/,
    )
  })
})
