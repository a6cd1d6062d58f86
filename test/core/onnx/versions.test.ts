// Graphs written by every version of ONNX's operators: they need nothing that the version lacks, compute the same in float64 and
// in ONNX Runtime, and are read back.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { type Graph, graph } from '../../../src/core/graph/graph.js'
import { ONNX_DOMAIN, type Operator } from '../../../src/core/graph/operator.js'
import { printGraph } from '../../../src/core/graph/print.js'
import { isInteger, type Numbers, numbers } from '../../../src/core/graph/tensor.js'
import { apply1, constant, input, type Value } from '../../../src/core/graph/value.js'
import { OPSET, writableOpsets } from '../../../src/core/onnx/opsets.js'
import { decodeModel, encodeModel } from '../../../src/core/onnx/tensors.js'
import { readModel } from '../../../src/core/onnx/trainingInfo.js'
import { atVersion } from '../../../src/core/onnx/versions.js'
import { writeModel } from '../../../src/core/onnx/write.js'
import * as ops from '../../../src/core/ops/index.js'
import { portable } from '../../../src/core/targets/portable/index.js'
import { expandNode } from '../../../src/core/targets/target.js'
import { onnx } from '../../support/models.js'
import { expectClose, openModel, rounded, type Tensors } from '../../support/runtime.js'
import { gradientTrial, isDifferentiable, rows, trial } from '../../support/samples.js'

const { from, to } = writableOpsets
const opsets = Array.from({ length: to - from + 1 }, (_, i) => from + i)

const encoded = (source: Graph, opset: number): Uint8Array =>
  encodeModel(
    writeModel({ graph: source, weights: new Map(), opset }, (node, inputs) => expandNode(portable, node, inputs)),
  )

async function run(model: Uint8Array, feeds: Tensors): Promise<Tensors> {
  const open = await openModel(model)
  const results = await open.run(feeds)
  await open.close()
  return results
}

const drawn = ops.operators.filter(({ random }) => random)
/** Whether a version can say a sample: before operators had axes and sizes as inputs, they were none that are fed. */
const isSayable = ({ domain, since, before, samples }: Operator, index: number, opset: number) =>
  domain !== ONNX_DOMAIN ||
  since <= opset ||
  (before !== 'nothing' && !samples[index]!.inputs.some((drawn) => drawn && !drawn.constant && isInteger(drawn.dtype)))

/** Every sample of every operator, and its gradients, in one graph. */
function allSamples(opset: number): { source: Graph; feeds: Tensors } {
  const known = new Map<Value, Numbers>()
  const outputs = new Map<string, Value>()
  const sayable = rows(ops.operators.filter((operator) => !drawn.includes(operator))).filter(({ operator, index }) =>
    isSayable(operator, index, opset),
  )
  for (const { name: call, operator, index } of sayable) {
    // Gelu is an operator of ONNX's and one of ours.
    const name = `${operator.domain}${call}`
    const one = trial(operator, index, rounded, `${name} `)
    const back = isDifferentiable(operator) ? gradientTrial(one, name, rounded, `${name} `) : { outputs: [], feeds: [] }
    one.outputs.forEach((value, i) => {
      outputs.set(`${name} output ${i}`, value)
    })
    back.outputs.forEach((value, i) => {
      outputs.set(`${name} gradient ${i}`, value)
    })
    for (const [value, given] of [...one.feeds, ...back.feeds]) known.set(value, given)
  }
  const feeds = new Map([...known].map(([{ origin }, given]) => ['name' in origin ? origin.name : '', given]))
  return { source: graph('samples', [...known.keys()], outputs), feeds }
}

function expectSame(actual: Tensors, expected: Tensors, tolerance: number): void {
  expect([...actual.keys()].sort()).toEqual([...expected.keys()].sort())
  for (const [name, value] of expected) expectClose(actual.get(name)!, value, name, tolerance)
}

describe('all operators and their gradients', { timeout: 300_000 }, () => {
  it.each(opsets)('in version %i', async (opset) => {
    const { source, feeds } = allSamples(opset)
    const expected = evaluate(source, feeds)
    const inVersion = atVersion(opset)
    const said = inVersion(source)
    // What takes the place of a node needs nothing that the version lacks either.
    expect(printGraph(atVersion(opset)(said))).toBe(printGraph(said))
    expectSame(evaluate(said, feeds), expected, 1e-12)

    const model = encoded(source, opset)
    expectSame(await run(model, feeds), expected, 1e-5)
    // A file has float32 constants.
    expectSame(evaluate(readModel(decodeModel(model), { parameters: new Set() }).inference, feeds), expected, 1e-6)
    // Operators that are tried out, and those of classical machine learning, are written out.
    const imports = decodeModel(model).opsetImport.map(({ domain, version }) => `${domain} ${Number(version)}`)
    expect(imports.toSorted()).toEqual([` ${opset}`, 'com.microsoft 1', 'rdm.training 1'])
  })

  it('draws are the same numbers in every version', async () => {
    const trials = rows(drawn).map(({ name, operator, index }) => trial(operator, index, rounded, `${name} `))
    const known = trials.flatMap(({ feeds }) => [...feeds])
    const outputs = Object.fromEntries(trials.map(({ outputs: [drawn] }, i) => [`out${i}`, drawn!]))
    const inputs = known.map(([value]) => value)
    const draws = graph('draws', inputs, outputs)
    const given = new Map(known.map(([{ origin }, value]) => ['name' in origin ? origin.name : '', value]))
    const usual = await run(encoded(draws, OPSET), given)
    for (const opset of opsets) expect(await run(encoded(draws, opset), given)).toEqual(usual)
  })
})

describe('what a version lacks', () => {
  const x = input('x', 'float32', ['n', 3])
  /** A zero before the last axis, which is named. */
  const padded = (value: Value) =>
    apply1(ops.Pad, [value, constant('int64', [1, 0]), undefined, constant('int64', [-1])])
  const nodesOf = (source: Graph, opset: number) => decodeModel(encoded(source, opset)).graph!.node ?? []

  it('axes of a reduction as an input, is written as an attribute', () => {
    const source = graph('g', [x], { y: ops.reduceMean(x, [0, -1], { keepdims: 0 }) })
    expect(nodesOf(source, 18)).toMatchObject([{ opType: 'ReduceMean', input: ['x', 'int64/0,-1'] }])
    expect(nodesOf(source, 17)).toMatchObject([{ opType: 'ReduceMean', input: ['x'] }])
    const axes = nodesOf(source, 17)[0]!.attribute!.find(({ name }) => name === 'axes')
    expect(axes?.ints?.map(Number)).toEqual([0, -1])
  })

  it('is said otherwise in the bodies of loops too', async () => {
    const rows = constant('int64', 3)
    const { stacked } = ops.loop(rows, { row: x }, (i, { row }) => {
      const peak = ops.reduceMax(ops.gather(row, ops.unsqueeze(i, 0), 1), [0, 1])
      return { carried: { row: ops.add(row, peak) }, stacked: { peak: padded(peak) } }
    })
    const source = graph('g', [x], { peaks: stacked.peak! })
    const feeds = new Map([['x', numbers('float32', [2, 3], [1, 5, 2, 4, 0, 3])]])
    for (const opset of [13, 18]) expect(await run(encoded(source, opset), feeds)).toEqual(evaluate(source, feeds))
  })

  it('arithmetic of bytes, goes through int32', async () => {
    const [a, b] = [input('a', 'uint8', [4]), input('b', 'uint8', [4])]
    const source = graph('g', [a, b], {
      sum: ops.add(a, b),
      difference: ops.sub(a, b),
      product: ops.mul(a, b),
      quotient: ops.div(a, b),
    })
    expect(new Set(nodesOf(source, 13).map(({ opType }) => opType))).toEqual(
      new Set(['Cast', 'Add', 'Sub', 'Mul', 'Div']),
    )
    expect(nodesOf(source, 14)).toHaveLength(4)
    const feeds = new Map([
      ['a', numbers('uint8', [4], [7, 200, 9, 30])],
      ['b', numbers('uint8', [4], [2, 50, 4, 7])],
    ])
    expect(await run(encoded(source, 13), feeds)).toEqual(
      new Map([
        ['sum', numbers('uint8', [4], [9, 250, 13, 37])],
        ['difference', numbers('uint8', [4], [5, 150, 5, 23])],
        ['product', numbers('uint8', [4], [14, 10_000 % 256, 36, 210])],
        ['quotient', numbers('uint8', [4], [3, 4, 2, 4])],
      ]),
    )
  })

  it('is said once of what two graphs share', () => {
    const shared = padded(x)
    const [first, second] = [graph('a', [x], { a: shared }), graph('b', [x], { b: ops.neg(shared) })].map(atVersion(13))
    expect(second!.nodes).toContain(first!.nodes[0])
  })

  it.each([12, 22, 15.5])('a file of version %d is not written', (opset) => {
    expect(() => encoded(graph('g', [x], { y: ops.neg(x) }), opset)).toThrow(
      `version ${opset} of the ONNX operators is not written; expected 13 to 21`,
    )
  })
})

describe('a file of an older version', () => {
  const { INT, INTS, STRING } = onnx.AttributeProto.AttributeType
  type Node = NonNullable<ConstructorParameters<typeof onnx.NodeProto>[0]>
  const info = (name: string, elemType: number, ...dims: number[]) => ({
    name,
    type: { tensorType: { elemType, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
  })
  const model = (version: number, node: Node) =>
    onnx.ModelProto.create({
      irVersion: 8,
      opsetImport: [{ domain: '', version }],
      graph: {
        name: 'g',
        input: [info('x', 1, 2, 3), info('v', 1, 3), info('i', 7, 2, 3), info('axes', 7, 1)],
        node: [{ ...node, name: 'it', output: ['y'] }],
        output: [{ name: 'y' }],
      },
    })
  const axes = (type = INTS) => ({ name: 'axes', type, ints: [-1], i: 1 })
  const result = (version: number, node: Node) =>
    evaluate(
      readModel(model(version, node)).inference,
      new Map([
        ['x', numbers('float32', [2, 3], [1, -5, 2, 4, 0, 3])],
        ['i', numbers('int64', [2, 3], [2, 1, 0, 0, 2, 1])],
      ]),
    ).get('y')!

  it.each([13, 17])('has the axes of reductions as an attribute: version %i', (version) => {
    const node = { opType: 'ReduceL1', input: ['x'] }
    expect(result(version, { ...node, attribute: [axes()] })).toEqual(numbers('float32', [2, 1], [8, 7]))
    expect(result(version, { ...node, attribute: [{ ...axes(), ints: [] }] }).data).toEqual(Float64Array.of(15))
    expect(result(version, node).data).toEqual(Float64Array.of(15))
  })
  it('scatters without adding', () => {
    const node = { opType: 'ScatterElements', input: ['x', 'i', 'x'], attribute: [{ name: 'axis', type: INT, i: 1 }] }
    expect([...result(13, node).data]).toEqual([2, -5, 1, 4, 3, 0])
  })
  it('may call a function of another version', () => {
    const proto = model(18, { opType: 'Total', domain: 'other', input: ['x'] })
    proto.functions.push(
      onnx.FunctionProto.fromObject({
        name: 'Total',
        domain: 'other',
        input: ['a'],
        output: ['b'],
        node: [{ opType: 'ReduceMean', input: ['a'], output: ['b'], attribute: [axes()] }],
        opsetImport: [{ domain: '', version: 13 }],
      }),
    )
    const { inference } = readModel(proto)
    const feeds = new Map([['x', numbers('float32', [2, 3], [1, 2, 6, 4, 0, 2])]])
    expect([...evaluate(inference, feeds).get('y')!.data]).toEqual([3, 2])
  })

  const came = (since: number, version: number) =>
    `came with version ${since} of the ONNX operators, and this is version ${version}: leave it out`
  const refused: readonly [what: string, version: number, node: Node, message: string][] = [
    [
      'axes as an input of a reduction',
      17,
      { opType: 'ReduceMax', input: ['x', 'axes'] },
      `node 'it' (ReduceMax): its input 1 ${came(18, 17)}`,
    ],
    [
      'axes of a Pad',
      15,
      { opType: 'Pad', input: ['x', 'axes', '', 'axes'] },
      `node 'it' (Pad): its input 3 ${came(18, 15)}`,
    ],
    [
      'sums while scattering',
      15,
      {
        opType: 'ScatterElements',
        input: ['x', 'i', 'x'],
        attribute: [{ name: 'reduction', type: STRING, s: new TextEncoder().encode('add') }],
      },
      `node 'it' (ScatterElements): the attribute 'reduction' ${came(16, 15)}`,
    ],
    [
      'batch normalization in training mode',
      13,
      {
        opType: 'BatchNormalization',
        input: ['x', 'v', 'v', 'v', 'v'],
        attribute: [{ name: 'training_mode', type: INT, i: 1 }],
      },
      "node 'it' (BatchNormalization): the attribute 'training_mode' (1) is not supported; BatchNormalization takes epsilon, momentum",
    ],
    [
      'one number for the axes',
      13,
      { opType: 'ReduceMin', input: ['x'], attribute: [axes(INT)] },
      "node 'it' (ReduceMin): the attribute 'axes' should be of type ints",
    ],
    [
      'axes as an attribute when they are an input',
      18,
      { opType: 'ReduceMin', input: ['x'], attribute: [axes()] },
      "node 'it' (ReduceMin): the attribute 'axes' (-1) is not supported; ReduceMin takes keepdims, noop_with_empty_axes",
    ],
  ]
  it.each(refused)('is refused with %s, version %i', (_, version, node, message) => {
    expect(() => readModel(model(version, node))).toThrow(new RegExp(`^${message.replace(/[()]/g, '\\$&')}$`))
  })
})
