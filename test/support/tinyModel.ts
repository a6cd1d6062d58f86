// A trainable model made by hand, of standard operators: softmax regression on pixels, SGD with momentum, one running statistic.
import { createHash } from 'node:crypto'
import onnxProto from 'onnx-proto'
import { type DType, type Tensor, type Tensors, type TrainableModel, UserError } from 'rdm-onnx'

const { onnx } = onnxProto

type Attribute = number | readonly number[]
type Dimension = number | string
type NodeSpec = readonly [op: string, inputs: string, outputs: string, attributes?: Record<string, Attribute>]

const elementTypes = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9, float16: 10, float64: 11 } as Partial<
  Record<DType, number>
>
const attributeTypes = onnx.AttributeProto.AttributeType

const valueInfo = (name: string, dtype: DType, shape: readonly Dimension[]) => ({
  name,
  type: {
    tensorType: {
      elemType: elementTypes[dtype]!,
      shape: { dim: shape.map((size) => (typeof size === 'string' ? { dimParam: size } : { dimValue: size })) },
    },
  },
})

const initializer = (name: string, { dtype, shape, data }: Tensor) => ({
  name,
  dataType: elementTypes[dtype]!,
  dims: [...shape],
  rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
})

const node = ([opType, inputs, outputs, attributes = {}]: NodeSpec) => ({
  opType,
  input: inputs.split(' '),
  output: outputs.split(' '),
  attribute: Object.entries(attributes).map(([name, value]) =>
    typeof value === 'number'
      ? { name, type: attributeTypes.INT, i: value }
      : { name, type: attributeTypes.INTS, ints: [...value] },
  ),
})

type Value = ReturnType<typeof valueInfo>

/** An ONNX model file of these parts. */
export function onnxModel(nodes: readonly NodeSpec[], input: Value[], output: Value[], constants: Tensors) {
  return onnx.ModelProto.encode({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    graph: {
      name: 'tiny',
      node: nodes.map(node),
      input,
      output,
      initializer: Object.entries(constants).map(([name, tensor]) => initializer(name, tensor)),
    },
  }).finish()
}

export const float32 = (shape: readonly number[], values: readonly number[]): Tensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
})
const int64 = (values: readonly number[]): Tensor => ({
  dtype: 'int64',
  shape: [values.length],
  data: BigInt64Array.from(values, BigInt),
})

export interface TinyOptions {
  imageShape?: readonly [number, number, number]
  classes?: number
  gates?: readonly number[]
  /** Multiplies the loss and its gradient, to make training diverge. */
  lossScale?: number
  epochs?: number
}

/** Softmax regression: logits = x·w + b with x the pixels in [0, 1]; `mean` is a running mean of the pixels. */
export function tinyModel(options: TinyOptions = {}): TrainableModel {
  const { imageShape = [3, 8, 8], classes = 10, gates, lossScale = 1, epochs = 3 } = options
  const features = imageShape[0] * imageShape[1] * imageShape[2]
  const parameters = { w: [features, classes], b: [classes] } as const
  const state: Tensors = {
    w: float32(
      parameters.w,
      Array.from({ length: features * classes }, (_, i) => Math.sin(i) / 100),
    ),
    b: float32(parameters.b, new Array(classes).fill(0)),
    'w.momentum': float32(parameters.w, new Array(features * classes).fill(0)),
    'b.momentum': float32(parameters.b, new Array(classes).fill(0)),
    mean: float32([], [0]),
  }
  const images = valueInfo('images', 'uint8', ['batch', ...imageShape])
  const forward: NodeSpec[] = [
    ['Cast', 'images', 'pixels', { to: 1 }],
    ['Div', 'pixels c255', 'scaled'],
    ['Flatten', 'scaled', 'x'],
    ['MatMul', 'x w', 'xw'],
    ['Add', 'xw b', 'logits'],
  ]
  const constants = { c255: float32([], [255]) }
  const update = (name: string): NodeSpec[] => [
    ['Mul', `${name}.momentum c0.9`, `${name}.kept`],
    ['Add', `${name}.kept ${name}.gradient`, `${name}.momentum.next`],
    ['Mul', `${name}.momentum.next learning_rate`, `${name}.change`],
    ['Sub', `${name} ${name}.change`, `${name}.next`],
  ]
  const step = onnxModel(
    [
      ...forward,
      ['LogSoftmax', 'logits', 'logp', { axis: 1 }],
      ['OneHot', 'labels depth c01', 'target', { axis: 1 }],
      ['Mul', 'logp target', 'picked'],
      ['ReduceSum', 'picked axis1', 'perImage', { keepdims: 0 }],
      ['ReduceMean', 'perImage', 'meanLog', { keepdims: 0 }],
      ['Mul', 'meanLog cMinusScale', 'loss'],
      ['ArgMax', 'logits', 'guess', { axis: 1, keepdims: 0 }],
      ['Equal', 'guess labels', 'hit'],
      ['Cast', 'hit', 'hits', { to: 7 }],
      ['ReduceSum', 'hits', 'correct', { keepdims: 0 }],
      ['Exp', 'logp', 'p'],
      ['Sub', 'p target', 'dz'],
      ['Shape', 'labels', 'count'],
      ['Cast', 'count', 'batch', { to: 1 }],
      ['Div', 'dz batch', 'dzMean'],
      ['Mul', 'dzMean cScale', 'dzScaled'],
      ...(gates
        ? ([
            ['ReduceMean', 'gates', 'open', { keepdims: 0 }],
            ['Mul', 'dzScaled open', 'dLogits'],
          ] as const)
        : ([['Identity', 'dzScaled', 'dLogits']] as const)),
      ['Transpose', 'x', 'xT', { perm: [1, 0] }],
      ['MatMul', 'xT dLogits', 'w.gradient'],
      ['ReduceSum', 'dLogits axis0', 'b.gradient', { keepdims: 0 }],
      ...update('w'),
      ...update('b'),
      ['ReduceMean', 'scaled', 'batchMean', { keepdims: 0 }],
      ['Mul', 'mean c0.9', 'meanKept'],
      ['Mul', 'batchMean c0.1', 'meanAdded'],
      ['Add', 'meanKept meanAdded', 'mean.next'],
    ],
    [
      images,
      valueInfo('labels', 'int64', ['batch']),
      valueInfo('learning_rate', 'float32', []),
      ...(gates ? [valueInfo('gates', 'float32', [gates.length])] : []),
      ...Object.entries(state).map(([name, { dtype, shape }]) => valueInfo(name, dtype, shape)),
    ],
    [
      valueInfo('loss', 'float32', []),
      valueInfo('correct', 'int64', []),
      ...Object.entries(state).map(([name, { dtype, shape }]) => valueInfo(`${name}.next`, dtype, shape)),
    ],
    {
      ...constants,
      'c0.9': float32([], [0.9]),
      'c0.1': float32([], [0.1]),
      c01: float32([2], [0, 1]),
      cScale: float32([], [lossScale]),
      cMinusScale: float32([], [-lossScale]),
      depth: int64([classes]),
      axis0: int64([0]),
      axis1: int64([1]),
    },
  )
  const inference = (values: Tensors) =>
    onnxModel(
      [...forward, ['Softmax', 'logits', 'probabilities', { axis: 1 }]],
      [images],
      [valueInfo('logits', 'float32', ['batch', classes]), valueInfo('probabilities', 'float32', ['batch', classes])],
      { ...constants, w: values.w!, b: values.b! },
    )
  const scoring = () =>
    onnxModel(
      [
        ['LogSoftmax', 'logits', 'logp', { axis: 1 }],
        ['OneHot', 'labels depth c01', 'target', { axis: 1 }],
        ['Mul', 'logp target', 'picked'],
        ['ReduceSum', 'picked axis1', 'perImage', { keepdims: 0 }],
        ['ReduceMean', 'perImage', 'meanLog', { keepdims: 0 }],
        ['Neg', 'meanLog', 'loss'],
        ['ArgMax', 'logits', 'guess', { axis: 1, keepdims: 0 }],
        ['Equal', 'guess labels', 'hit'],
        ['Cast', 'hit', 'hits', { to: 7 }],
        ['ReduceSum', 'hits', 'correct', { keepdims: 0 }],
      ],
      [valueInfo('logits', 'float32', ['batch', classes]), valueInfo('labels', 'int64', ['batch'])],
      [valueInfo('loss', 'float32', []), valueInfo('correct', 'int64', [])],
      { c01: float32([2], [0, 1]), depth: int64([classes]), axis1: int64([1]) },
    )
  const noGraph = (): never => {
    throw new UserError('a model made by hand has no graph to lower')
  }
  return {
    step: () => step,
    graph: noGraph,
    network: noGraph,
    initialization: noGraph,
    encode: noGraph,
    multiplyAdds: 0,
    state,
    signature: {
      inputs: [{ name: 'images', dtype: 'uint8', shape: ['batch', ...imageShape] }],
      targets: [{ name: 'labels', dtype: 'int64', shape: ['batch'], classes }],
      hyperparameters: { learning_rate: null },
      ...(gates ? { gates: { name: 'gates', survival: [...gates] } } : {}),
      loss: 'loss',
      metrics: [{ name: 'error', kind: 'right', output: 'correct' }],
      statistics: ['mean'],
      updates: Object.fromEntries(Object.keys(state).map((name) => [`${name}.next`, name])),
    },
    scoring: scoring(),
    recipe: {
      epochs,
      batchSize: 16,
      learningRate: [
        [0, 0.01],
        [1, 0.1],
      ],
      momentum: 0.9,
      weightDecay: 0,
      nesterov: false,
      augment: true,
    },
    withState: inference,
    inference,
    fingerprint: createHash('sha256').update(step).digest('hex'),
  }
}
