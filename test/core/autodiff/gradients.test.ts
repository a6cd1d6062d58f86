// What the engine does for all rules: pruning, accumulating, summing over broadcast axes, checking; and its errors.
import { describe, expect, it } from 'vitest'
import { gradients } from '../../../src/core/autodiff/gradients.js'
import { evaluateValues } from '../../../src/core/graph/evaluate.js'
import { ancestors } from '../../../src/core/graph/graph.js'
import { ONNX_DOMAIN, type Operator, operator } from '../../../src/core/graph/operator.js'
import { type Numbers, numbers } from '../../../src/core/graph/tensor.js'
import { apply, apply1, constant, GraphError, input, scope, type Value } from '../../../src/core/graph/value.js'
import * as ops from '../../../src/core/ops/index.js'

const { add, argMax, cast, exp, mul, reduceMean, reduceSum, relu } = ops
const x = input('x', 'float32', [2, 3])
const v = input('v', 'float32', [3])
const floats = (shape: readonly number[], ...data: number[]): Numbers => numbers('float32', shape, data)
const feeds = new Map([
  [x, floats([2, 3], 1, -2, 3, -4, 5, -6)],
  [v, floats([3], 0.5, 2, -1)],
])
const total = (value: Value) => reduceSum(value, undefined, { keepdims: 0 })
const derive = (y: Value, ...wrt: Value[]) => evaluateValues(gradients(y, wrt), feeds).map(({ data }) => [...data])

describe('the engine', () => {
  it('accumulates where a value is used more than once', () => {
    // y = Σ x·x + 3x, dy/dx = 2x + 3
    expect(derive(total(add(mul(x, x), mul(x, 3))), x)).toEqual([[5, -1, 9, -5, 13, -9]])
  })

  it('sums over the axes along which a value was broadcast', () => {
    const column = input('column', 'float32', [2, 1])
    const [forV, forColumn] = gradients(total(mul(add(x, v), column)), [v, column])
    const known = new Map([...feeds, [column, floats([2, 1], 10, 100)]])
    const [a, b] = evaluateValues([forV!, forColumn!], known)
    expect([a!.shape, [...a!.data]]).toEqual([[3], [110, 110, 110]])
    expect([b!.shape, [...b!.data]]).toEqual([
      [2, 1],
      [3.5, -3.5],
    ])
  })

  it('leaves it to the run whether a symbol was broadcast', () => {
    const a = input('a', 'float32', ['n', 3])
    const b = input('b', 'float32', ['m', 3])
    const weight = input('weight', 'float32', [4, 3])
    const grads = gradients(total(mul(add(a, b), weight)), [a, b])
    expect(grads.map(({ shape }) => shape)).toEqual([a.shape, b.shape])
    const ones = floats([4, 3], 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
    const known = new Map([
      [a, floats([1, 3], 0, 0, 0)],
      [b, floats([4, 3], ...new Array(12).fill(0))],
      [weight, ones],
    ])
    const [forA, forB] = evaluateValues(grads, known)
    expect([forA!.shape, [...forA!.data]]).toEqual([
      [1, 3],
      [22, 26, 30],
    ])
    expect([forB!.shape, [...forB!.data]]).toEqual([[4, 3], [...ones.data]])
  })

  it('divides a mean by what the run counts where dimensions are symbols', () => {
    const open = input('open', 'float32', ['n', 'm'])
    const [grad] = gradients(total(reduceMean(open, [0])), [open])
    const known = new Map([[open, floats([2, 3], 1, 2, 3, 4, 5, 6)]])
    expect([...evaluateValues([grad!], known)[0]!.data]).toEqual(new Array(6).fill(0.5))
  })

  it('gives zeros where nothing depends on x, and through operators that are flat', () => {
    const unused = input('unused', 'float32', [2])
    expect(derive(total(x), unused, x)).toEqual([
      [0, 0],
      [1, 1, 1, 1, 1, 1],
    ])
    expect(derive(total(cast(argMax(x, 1), 'float32')), x)).toEqual([[0, 0, 0, 0, 0, 0]])
  })

  it('gives the gradient of a value at itself, and of one value on the way to another', () => {
    const inner = exp(x)
    const y = total(mul(inner, 2))
    expect(derive(y, y)).toEqual([[1]])
    expect(derive(y, inner)).toEqual([[2, 2, 2, 2, 2, 2]])
  })

  it('starts from the seed', () => {
    const [dx] = gradients(mul(x, 2), [x], { seed: mul(x, 10) })
    expect([...evaluateValues([dx!], feeds)[0]!.data]).toEqual([20, -40, 60, -80, 100, -120])
  })

  it('makes no node for what is not asked for', () => {
    const [dv] = gradients(total(mul(exp(x), v)), [v])
    const made = ancestors([dv!]).filter((node) => node.scope.includes('grad'))
    // dy → [2, 3], times e^x, summed over the rows.
    expect(made.map((node) => node.operator.name)).toEqual(['Reshape', 'Expand', 'Mul', 'ReduceSum', 'Reshape'])
  })

  it('names gradients below the scope of their node', () => {
    const y = scope('layer', () => relu(x))
    const [dx] = gradients(total(y), [x])
    expect(dx!.origin).toMatchObject({ kind: 'node', node: { scope: 'layer/grad' } })
  })

  it('keeps a symbolic batch', () => {
    const open = input('open', 'float32', ['batch', 3])
    const [dx, dv] = gradients(reduceMean(mul(relu(open), v), undefined, { keepdims: 0 }), [open, v])
    expect([dx!.shape, dv!.shape]).toEqual([['batch', 3], [3]])
    const known = new Map([...feeds, [open, floats([2, 3], 1, -1, 1, 2, 2, -2)]])
    const results = evaluateValues([dx!, dv!], known).map(({ data }) => [...data].map((n) => n * 6))
    expect(results[0]).toEqual([0.5, 0, -1, 0.5, 2, 0])
    expect(results[1]).toEqual([3, 2, 1])
  })

  it('shows rules recomputed values, once each', () => {
    const y = exp(x)
    const asked: Value[] = []
    const copy = input('copy', 'float32', [2, 3])
    const [dx] = gradients(total(mul(y, y)), [x], {
      recompute(value) {
        asked.push(value)
        return value === y ? copy : undefined
      },
    })
    const [at] = evaluateValues([dx!], new Map([...feeds, [copy, floats([2, 3], 1, 2, 3, 4, 5, 6)]]))
    // d(e^2x) = 2·e^x·e^x, of which every factor comes from the copy.
    expect([...at!.data]).toEqual([2, 8, 18, 32, 50, 72])
    expect(asked.filter((value) => value === y)).toHaveLength(1)
  })
})

describe('several outputs', () => {
  /** x and 2x. */
  const both: Operator<Record<never, never>> = operator({
    name: 'Both',
    domain: ONNX_DOMAIN,
    since: 13,
    attributes: {},
    arity: [1, 1],
    infer: ([a]) => [a!, a!],
    gradient: { rule: ({ grad, grads }) => [grads[1] ? add(grad, mul(grads[1], 2)) : grad] },
    evaluate: ([a]) => [
      a!,
      numbers(
        a!.dtype,
        a!.shape,
        a!.data.map((value) => 2 * value),
      ),
    ],
    samples: [{ inputs: [] }],
  })

  it('a rule sees zeros at the first output when only a later one has a gradient', () => {
    const [once, twice] = apply(both, [x])
    expect(derive(total(once!), x)).toEqual([[1, 1, 1, 1, 1, 1]])
    expect(derive(total(twice!), x)).toEqual([[2, 2, 2, 2, 2, 2]])
    expect(derive(total(mul(once!, twice!)), x)).toEqual([[4, -8, 12, -16, 20, -24]])
  })
})

describe('integer and discrete paths', () => {
  it('give whole numbers no gradient', () => {
    const counts = input('counts', 'int64', [2])
    const [d] = gradients(mul(counts, counts), [counts], { seed: counts })
    const [zero] = evaluateValues([d!], new Map([[counts, numbers('int64', [2], [3, 4])]]))
    expect([zero!.dtype, [...zero!.data]]).toEqual(['int64', [0, 0]])
  })

  it('stop gradients without an error', () => {
    expect(derive(total(cast(cast(x, 'int64'), 'float32')), x)).toEqual([[0, 0, 0, 0, 0, 0]])
  })
})

describe('errors', () => {
  const four = (...channels: (number | string)[]) => input('image', 'float32', [2, ...channels])
  const vectors = [1, 2, 3, 4].map((i) => input(`v${i}`, 'float32', [3]))
  const broken: Operator<Record<never, never>> = operator({
    name: 'Broken',
    domain: ONNX_DOMAIN,
    since: 13,
    attributes: {},
    arity: [1, 1],
    infer: ([a]) => [a!],
    gradient: { rule: ({ grad }) => [ops.transpose(grad)] },
    evaluate: ([a]) => [a!],
    samples: [{ inputs: [] }],
  })
  const labels = constant('int64', [0, 1])
  const rows: readonly (readonly [message: string, call: () => unknown])[] = [
    [
      'gradients: needs a scalar, got float32[2, 3]; sum it, or give the gradient at y as seed',
      () => gradients(x, [x]),
    ],
    [
      'gradients: the seed is float32[3], y is float32[2, 3]; give the gradient at y',
      () => gradients(x, [x], { seed: v }),
    ],
    [
      'gradients: the seed is float64[2, 3], y is float32[2, 3]',
      () => gradients(x, [x], { seed: input('s', 'float64', [2, 3]) }),
    ],
    [
      'gradient of Broken in odd: its rule gave float32[3, 2] for input 0, which is float32[2, 3]; mend the rule (inputs float32[2, 3])',
      () => gradients(total(scope('odd', () => apply1(broken, [x]))), [x]),
    ],
    [
      'gradient of SoftmaxCrossEntropyGrad: it is not differentiable; build the loss from logSoftmax, gatherElements and reduceMean if you need second derivatives (inputs float32[], float32[2, 3], int64[2])',
      () => gradients(total(apply1(ops.SoftmaxCrossEntropyGrad, [constant('float32', 1), x, labels])), [x]),
    ],
    [
      'gradient of BatchNormTraining: no gradient flows through its output mean; stop it there',
      () => gradients(total(apply(ops.BatchNormTraining, [x, ...vectors])[3]!), [x]),
    ],
    [
      'gradient of BatchNormalization: no gradient flows through its output 1; stop it there',
      () => gradients(total(apply(ops.BatchNormalization, [x, ...vectors], { training_mode: 1 })[1]!), [x]),
    ],
    [
      'gradient of SoftmaxCrossEntropy: no gradient flows through its output probabilities; stop it there',
      () => gradients(total(ops.softmaxCrossEntropy(x, labels)[1]), [x]),
    ],
    [
      'gradient of AveragePool: the gradient needs a known number of channels',
      () => {
        const image = four('c', 4, 4)
        return gradients(total(ops.averagePool(image, { kernel_shape: [2, 2] })), [image])
      },
    ],
    [
      "gradient of Conv: needs known height and width, got 'h'",
      () => {
        const image = four(3, 'h', 4)
        return gradients(total(ops.conv(image, four(3, 2, 2))), [image])
      },
    ],
  ]
  it.each(rows)('%s', (message, call) => {
    expect(call).toThrow(GraphError)
    expect(call).toThrow(message)
  })
})
