// The text of every error of tensors, calls, graphs and the reference evaluation.
import { describe, expect, it } from 'vitest'
import { UserError } from '../../../src/core/errors.js'
import { evaluate, evaluateValues } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { numbers } from '../../../src/core/graph/tensor.js'
import { apply, apply1, constant, GraphError, input, parameter } from '../../../src/core/graph/value.js'
import {
  add,
  BatchNormalization,
  Cast,
  Concat,
  Conv,
  Expand,
  Gemm,
  gather,
  Relu,
  relu,
  reshape,
} from '../../../src/core/ops/index.js'

const x = input('x', 'float32', ['n', 2])
const rows = input('rows', 'float32', ['4*n'])
const few = input('few', 'float32', ['few'])
const sizes = input('sizes', 'int64', [1])
const two = numbers('float32', [2], [1, 2])
const w = parameter('w', [2], { kind: 'constant', value: 0 })

const calls: readonly (readonly [message: string, call: () => unknown])[] = [
  ['Relu: takes 1 input, got 2 (inputs float32[n, 2], float32[n, 2])', () => apply(Relu, [x, x])],
  ['Relu: takes 1 input, got 0 (inputs (none))', () => apply(Relu, [])],
  ['Gemm: takes 2 to 3 inputs, got 1', () => apply(Gemm, [x, undefined])],
  ['Gemm: takes 2 to 3 inputs, got 4', () => apply(Gemm, [x, x, x, x])],
  ['BatchNormalization: takes 5 inputs, got 1', () => apply(BatchNormalization, [x])],
  ['Concat: takes at least 1 input, got 0 (inputs (none); axis=0)', () => apply(Concat, [], { axis: 0 })],
  [
    "Conv: has no attribute 'stride'; it takes kernel_shape, strides, pads, dilations, group, auto_pad (inputs float32[n, 2], float32[n, 2]; stride=2)",
    () => apply(Conv, [x, x], { stride: 2 } as never),
  ],
  ["Relu: has no attribute 'alpha'; it takes none", () => apply(Relu, [x], { alpha: 1 } as never)],
  ["Cast: needs the attribute 'to' (int) (inputs float32[n, 2])", () => apply(Cast, [x])],
  ["graph g: uses the input 'x', which is not among its inputs; list it", () => graph('g', [], { y: relu(x) })],
  ["graph g: uses the input 'x', which is not among its inputs; list it", () => graph('g', [], { x })],
  [
    'graph g: a parameter is listed among its inputs; list only what input() makes',
    () => graph('g', [w], { y: relu(w) }),
  ],
  ['graph g: a node is listed among its inputs', () => graph('g', [relu(x)], { y: w })],
  [
    "graph g: two inputs or parameters are named 'x'; rename the second, this input",
    () => graph('g', [x, input('x', 'float32', [])], { y: relu(x) }),
  ],
  [
    "graph g: two inputs or parameters are named 'x'; rename the second, this parameter",
    () => graph('g', [x], { y: relu(x), z: relu(parameter('x', [1], { kind: 'constant', value: 0 })) }),
  ],
  ["graph g: 'x' names an output and an input or parameter; rename the output", () => graph('g', [x], { x: relu(x) })],
  ["graph g: 'w' names an output and an input or parameter", () => graph('g', [], { w: relu(w) })],
  ["evaluate: no value is given for 'x'", () => evaluate(graph('g', [x], { y: relu(x) }), new Map())],
  ["evaluate: no value is given for 'w'", () => evaluateValues([w], new Map())],
  [
    'evaluate: Gather: index 5 is out of range for an axis of 2',
    () => evaluateValues([gather(constant('float32', [1, 2]), constant('int64', 5))], new Map()),
  ],
  [
    'evaluate: Expand: cannot be expanded to [-2]',
    () =>
      evaluateValues(
        [apply1(Expand, [w, sizes])],
        new Map([
          [w, two],
          [sizes, numbers('int64', [1], [-2])],
        ]),
      ),
  ],
  [
    'evaluate: Add: [2] and [6] do not broadcast',
    () =>
      evaluateValues(
        [add(few, rows)],
        new Map([
          [few, two],
          [rows, numbers('float32', [6], [1, 2, 3, 4, 5, 6])],
        ]),
      ),
  ],
  [
    'evaluate: Reshape: 6 elements do not divide by 4 to fill the −1',
    () => evaluateValues([reshape(rows, [4, -1])], new Map([[rows, numbers('float32', [6], [1, 2, 3, 4, 5, 6])]])),
  ],
]

describe('errors of calls, graphs and evaluation', () => {
  it.each(calls)('%s', (message, call) => {
    expect(call).toThrow(GraphError)
    expect(call).toThrow(UserError)
    expect(call).toThrow(message)
  })

  it('a tensor holds as many numbers as its shape says', () => {
    expect(() => numbers('float32', [2, 3], [1, 2])).toThrow(
      new RangeError('a tensor of shape [2,3] holds 6 values, not 2'),
    )
  })

  it('an output may pass an input or parameter on under its own name', () => {
    expect([...graph('g', [x], { x, w }).outputs.keys()]).toEqual(['x', 'w'])
  })
})
