// Sequences that are known when a file is read: lists of values, of which a graph keeps nothing.
import { expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluate, evaluateValues } from '../../../src/core/graph/evaluate.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { readModel } from '../../../src/core/onnx/trainingInfo.js'
import { mul, reduceSum } from '../../../src/core/ops/index.js'
import { onnx } from '../../support/models.js'

const { INT } = onnx.AttributeProto.AttributeType
type Node = NonNullable<ConstructorParameters<typeof onnx.NodeProto>[0]>
const node = (
  opType: string,
  input: string,
  output: string,
  attributes: Readonly<Record<string, number>> = {},
): Node => ({
  opType,
  input: input === '' ? [] : input.split(' ').map((name) => (name === '-' ? '' : name)),
  output: output.split(' '),
  attribute: Object.entries(attributes).map(([name, i]) => ({ name, type: INT, i })),
})
const info = (name: string, elemType: number, ...dims: number[]) => ({
  name,
  type: { tensorType: { elemType, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
})

/** x [2, 5] and a place that only the run knows; constants named by their numbers. */
function graphOf(nodes: Node[], functions: object[] = []) {
  const model = onnx.ModelProto.fromObject({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 18 }],
    functions,
    graph: {
      name: 'g',
      input: [info('x', 1, 2, 5), info('fed', 7)],
      initializer: [-9, -1, 0, 1, 2, 3].map((value) => ({
        name: `${value}`,
        dataType: 7,
        dims: [],
        int64Data: [value],
      })),
      node: nodes,
      output: [{ name: 'y' }],
    },
  })
  return readModel(model).inference
}
const x = numbers('float32', [2, 5], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
const result = (...nodes: Node[]) => evaluate(graphOf(nodes), new Map([['x', x]])).get('y')!

it('takes lists apart and puts them together', () => {
  // Columns 0 1, 2 3, 4; the second goes, the first comes again at the end.
  const y = result(
    node('SplitToSequence', 'x 2', 's', { axis: 1 }),
    node('SequenceErase', 's 1', 'without'),
    node('SequenceAt', 's 0', 'first'),
    node('SequenceInsert', 'without first', 'longer'),
    node('SequenceInsert', 'longer first 0', 'longest'),
    node('ConcatFromSequence', 'longest', 'y', { axis: -1 }),
  )
  expect(y.shape).toEqual([2, 7])
  expect([...y.data]).toEqual([0, 1, 0, 1, 4, 0, 1, 5, 6, 5, 6, 9, 5, 6])
  expect([...result(node('SplitToSequence', 'x', 's', { axis: 1 }), node('SequenceLength', 's', 'y')).data]).toEqual([
    5,
  ])
})

it('has the gradient of the values', () => {
  const { inputs, outputs } = graphOf([
    node('SplitToSequence', 'x', 's', { axis: 0, keepdims: 0 }),
    node('SequenceAt', 's -1', 'last'),
    node('SequenceConstruct', 'last last', 'twice'),
    node('ConcatFromSequence', 'twice', 'y', { axis: 0, new_axis: 1 }),
  ])
  const y = outputs.get('y')!
  const total = reduceSum(mul(y, y), undefined, { keepdims: 0 })
  const [dx] = evaluateValues(gradients(total, [inputs[0]!]), new Map([[inputs[0]!, x]]))
  expect([...dx!.data]).toEqual([0, 0, 0, 0, 0, 20, 24, 28, 32, 36])
})

it('goes into functions and out of them', () => {
  const sets = [{ domain: '', version: 18 }]
  const reversed = {
    name: 'Reversed',
    domain: 'other',
    input: ['list'],
    output: ['back'],
    opsetImport: sets,
    node: [
      node('SequenceAt', 'list zero', 'first'),
      node('SequenceErase', 'list zero', 'rest'),
      node('SequenceInsert', 'rest first', 'back'),
    ],
  }
  const zero = { name: 'value_int', type: INT, i: 0 }
  reversed.node.unshift({ opType: 'Constant', input: [], output: ['zero'], attribute: [zero] })
  const graph = graphOf(
    [
      node('SplitToSequence', 'x', 's'),
      { ...node('Reversed', 's', 'r'), domain: 'other' },
      node('ConcatFromSequence', 'r', 'y', { axis: 0 }),
    ],
    [reversed],
  )
  expect([...evaluate(graph, new Map([['x', x]])).get('y')!.data]).toEqual([5, 6, 7, 8, 9, 0, 1, 2, 3, 4])
})

it('knows which optionals hold something', () => {
  expect([...result(node('Optional', '', 'o'), node('OptionalHasElement', 'o', 'y')).data]).toEqual([0])
  expect([...result(node('Optional', 'x', 'o'), node('OptionalHasElement', 'o', 'y')).data]).toEqual([1])
  expect(result(node('Optional', 'x', 'o'), node('OptionalGetElement', 'o', 'y')).data).toEqual(x.data)
})

const split = node('SplitToSequence', 'x', 's')
const refused: readonly [what: string, message: string, ...nodes: Node[]][] = [
  [
    'at a place that only the run knows',
    "node 'SequenceAt' (SequenceAt): needs a position that is known when the file is read: a constant, or computed from known shapes",
    split,
    node('SequenceAt', 's fed', 'y'),
  ],
  [
    'past its end',
    "node 'SequenceAt' (SequenceAt): position 2 is out of range for 2 places",
    split,
    node('SequenceAt', 's 2', 'y'),
  ],
  [
    'as a tensor',
    "node 'Relu' (Relu): 's' is a sequence or an optional; expected a tensor",
    split,
    node('Relu', 's', 'y'),
  ],
  [
    'a tensor as one',
    "node 'SequenceLength' (SequenceLength): needs a sequence, which is made in the same file and no input of it",
    node('SequenceLength', 'x', 'y'),
  ],
  [
    'as an output',
    "the output 'y' is a sequence; expected a tensor: take its elements out",
    node('SequenceConstruct', 'x', 'y'),
  ],
  [
    'of two types',
    "node 'SequenceConstruct' (SequenceConstruct): a sequence holds float32 and int64; expected one type",
    node('SequenceConstruct', 'x fed', 'y'),
  ],
  [
    'of parts of which only the run knows how many',
    "node 'SplitToSequence' (SplitToSequence): needs an axis of known length and parts of a known one, 1 or more",
    node('SplitToSequence', 'x fed', 'y'),
  ],
  [
    'an optional that holds nothing',
    "node 'OptionalGetElement' (OptionalGetElement): the optional holds nothing",
    node('Optional', '', 'o'),
    node('OptionalGetElement', 'o', 'y'),
  ],
]
it.each(refused)('is refused %s', (_, message, ...nodes) => {
  expect(() => graphOf(nodes)).toThrow(message)
})
