// Loops in files that others wrote: what is read, and what is refused in one line and in bounded time.
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { readModel } from '../../../src/core/onnx/trainingInfo.js'
import { onnx } from '../../support/models.js'

const { GRAPH, INT } = onnx.AttributeProto.AttributeType
type Node = NonNullable<ConstructorParameters<typeof onnx.NodeProto>[0]>
type GraphProto = NonNullable<ConstructorParameters<typeof onnx.GraphProto>[0]>

const node = (opType: string, input: string, output: string): Node => ({
  opType,
  input: input === '' ? [] : input.split(' '),
  output: output.split(' '),
})
const info = (name: string, elemType: number, ...dims: number[]) => ({
  name,
  type: { tensorType: { elemType, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
})
const [FLOAT, INT64, BOOL] = [1, 7, 9]

/** x ← x·x + w, where w is a name of the graph around; the condition goes on as it is. */
const usual: GraphProto = {
  name: 'body',
  input: [info('i', INT64), info('go', BOOL), info('x', FLOAT, 2)],
  node: [node('Mul', 'x x', 'square'), node('Add', 'square w', 'next'), node('Identity', 'go', 'still')],
  output: [{ name: 'still' }, { name: 'next' }],
}

function modelOf(body: GraphProto | undefined, around: (loop: Node) => Node[] = (loop) => [loop]) {
  const loop: Node = {
    ...node('Loop', 'count go0 start', 'y'),
    attribute: body ? [{ name: 'body', type: GRAPH, g: body }] : [],
  }
  return onnx.ModelProto.create({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 18 }],
    graph: {
      name: 'g',
      input: [info('count', INT64), info('go0', BOOL), info('start', FLOAT, 2), info('w', FLOAT, 2)],
      node: around(loop),
      output: [{ name: 'y' }],
    },
  })
}

const refusal = (model: ReturnType<typeof modelOf>): string => {
  try {
    readModel(model)
    return 'accepted'
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : ''
  }
}

it('is read, with what its body takes from around it', () => {
  const { inference } = readModel(modelOf(usual))
  const run = (count: number, go: number) =>
    evaluate(
      inference,
      new Map([
        ['count', numbers('int64', [], [count])],
        ['go0', numbers('bool', [], [go])],
        ['start', numbers('float32', [2], [1, 2])],
        ['w', numbers('float32', [2], [0.5, -1])],
      ]),
    ).get('y')!.data
  expect([...run(2, 1)]).toEqual([(1 + 0.5) ** 2 + 0.5, (4 - 1) ** 2 - 1])
  expect([...run(3, 0)]).toEqual([1, 2])
})

describe('is refused', () => {
  const changed = (change: Partial<GraphProto>) => modelOf({ ...usual, ...change })
  it.each([
    ['without a body', modelOf(undefined), /needs the attribute 'body' \(graph\)/],
    [
      'with a body that is a number',
      modelOf(undefined, (loop) => [{ ...loop, attribute: [{ name: 'body', type: INT, i: 3 }] }]),
      /the attribute 'body' should be of type graph/,
    ],
    ['with a body that is empty', modelOf({}), /the first output of the body, its condition, must be one bool/],
    [
      'with a name that is nowhere',
      changed({ node: [node('Mul', 'x nowhere', 'next'), node('Identity', 'go', 'still')] }),
      /node 'Loop\/Mul' \(Mul\): uses 'nowhere', which nothing before it defines/,
    ],
    [
      'with a name that the graph around has',
      changed({ node: [node('Mul', 'x x', 'w'), node('Identity', 'go', 'still')] }),
      /'w' has a name that is taken/,
    ],
    [
      'with an output that nothing makes',
      changed({ output: [{ name: 'still' }, { name: 'lost' }] }),
      /the output 'lost' is made by no node/,
    ],
    ['with too few outputs', changed({ output: [{ name: 'still' }] }), /gives as many next values/],
    [
      'with a carried value that changes its type',
      changed({ node: [...usual.node!, node('Shape', 'x', 'size')], output: [{ name: 'still' }, { name: 'size' }] }),
      /the body takes float32\[2\], gets float32\[2\] and gives int64\[1\]: a carried value keeps its type/,
    ],
    [
      'when its names are used outside',
      modelOf(usual, (loop) => [{ ...loop, output: ['last'] }, node('Identity', 'next', 'y')]),
      /uses 'next', which nothing before it defines/,
    ],
    [
      'when there are too many',
      modelOf(usual, (loop) =>
        Array.from({ length: 101 }, (_, k) => ({ ...loop, name: `loop${k}`, output: [k === 100 ? 'y' : `y${k}`] })),
      ),
      /more than 100 nodes hold graphs; expected a smaller model/,
    ],
  ])('%s', (_, model, message) => {
    expect(refusal(model)).toMatch(/^UserError|^GraphError|^NodeError/)
    expect(refusal(model)).toMatch(message)
    expect(refusal(model)).not.toContain('\n')
  })
})
