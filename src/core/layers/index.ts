// Layers: an operator and the parameters that belong to it. What a network description is written in.

import { isKnown } from '../graph/shape.js'
import { isFloat } from '../graph/tensor.js'
import { constant, GraphError, type Initializer, parameter, scope, type Value } from '../graph/value.js'
import { add, batchNormalization, cast, conv, div, gemm, mul, sub } from '../ops/index.js'

/**
 * How weights are drawn. `he`: convolutions normal with variance 2/fan-out, linear layers uniform in ±1/√fan-in, biases 0, as the
 * reference implementations of residual networks do. `he-fan-in`: convolutions with variance 2/fan-in, linear layers and their
 * biases uniform, as that of stochastic depth does. `uniform`: everything in ±1/√fan-in, PyTorch's default. `he-all`: linear
 * layers as convolutions.
 */
export const inits = ['he', 'he-fan-in', 'he-all', 'uniform'] as const
/** A way to draw weights, of {@link inits}. */
export type Init = (typeof inits)[number]

function knownAxis(x: Value, axis: number, layer: string): number {
  const dim = x.shape[axis]
  if (dim === undefined || !isKnown(dim))
    throw new GraphError(`${layer}: needs a known dimension ${axis}, got [${x.shape}]`)
  return dim
}

/** He et al. 2015, equation 14: std = √(2/fan). */
const he = (fan: number): Initializer => ({ kind: 'normal', std: Math.sqrt(2 / fan) })
const uniform = (fanIn: number): Initializer => ({ kind: 'uniform', bound: 1 / Math.sqrt(fanIn) })
const zero: Initializer = { kind: 'constant', value: 0 }

/** What {@link conv2d} takes beside x and its name. */
export interface Conv2dOptions {
  /** Output channels. */
  readonly channels: number
  /** Height and width of the kernel. */
  readonly kernel: number
  /** 1 unless given, for height and width alike. */
  readonly stride?: number
  /** Zeros around x; by default as many as keep height and width at stride 1. */
  readonly padding?: number
  /** False unless given. */
  readonly bias?: boolean
  /** Groups that the channels of x are divided into; 1 unless given. */
  readonly groups?: number
  /** `he` unless given. */
  readonly init?: Init
  /** How the weights are drawn, in place of `init`. */
  readonly initializer?: Initializer
  /** Whether the weights train; true unless given. */
  readonly trainable?: boolean
}

/**
 * A two-dimensional convolution: x [N, C, H, W] → [N, channels, H′, W′]; parameters `name.weight`
 * [channels, C/groups, kernel, kernel] and `name.bias` [channels].
 * @throws GraphError when C is not known, or does not divide into the groups
 */
export function conv2d(x: Value, name: string, options: Conv2dOptions): Value {
  const { channels, kernel, stride = 1, padding = (kernel - 1) >> 1, bias = false, groups = 1, init = 'he' } = options
  const { trainable = true } = options
  return scope(name, () => {
    const inputs = knownAxis(x, 1, 'conv2d') / groups
    if (!Number.isInteger(inputs))
      throw new GraphError(`conv2d ${name}: ${inputs * groups} channels do not divide into ${groups} groups`)
    const area = kernel * kernel
    const [fanIn, fanOut] = [area * inputs, area * channels]
    const drawn = { he: he(fanOut), 'he-all': he(fanOut), 'he-fan-in': he(fanIn), uniform: uniform(fanIn) }[init]
    const initializer = options.initializer ?? drawn
    const weight = parameter('weight', [channels, inputs, kernel, kernel], initializer, { trainable })
    const shift = bias ? parameter('bias', [channels], init === 'uniform' ? uniform(fanIn) : zero) : undefined
    return conv(x, weight, {
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
      group: groups,
      ...(shift ? { bias: shift } : {}),
    })
  })
}

/** What {@link linear} takes beside x, its name and the number of outputs. */
export interface LinearOptions {
  /** True unless given. */
  readonly bias?: boolean
  readonly init?: Init
}

/**
 * A fully connected layer: x [N, C] → [N, outputs]; parameters `name.weight` [outputs, C] and `name.bias` [outputs].
 * @throws GraphError when C is not known
 */
export function linear(
  x: Value,
  name: string,
  outputs: number,
  { bias = true, init = 'he' }: LinearOptions = {},
): Value {
  return scope(name, () => {
    const inputs = knownAxis(x, 1, 'linear')
    const weight = parameter('weight', [outputs, inputs], init === 'he-all' ? he(outputs) : uniform(inputs))
    const isZero = init === 'he' || init === 'he-all'
    const shift = bias ? parameter('bias', [outputs], isZero ? zero : uniform(inputs)) : undefined
    return gemm(x, weight, shift, { transB: 1 })
  })
}

/** What {@link batchNorm} takes beside x and its name. */
export interface BatchNormOptions {
  /** Added to the variance; 1e-5 unless given. */
  readonly epsilon?: number
  /** What the running statistics keep of their old value at each step, 0.9 unless given: PyTorch's `momentum=0.1` is 0.9 here. */
  readonly momentum?: number
  /** Whether a scale is learned; it is 1 otherwise. True unless given. */
  readonly scale?: boolean
}

/**
 * Batch normalization over the channels of x [N, C, …]: parameters `name.scale`, `name.shift`, and the running statistics
 * `name.running_mean`, `name.running_variance`. In the training step it takes the batch's own statistics.
 */
export function batchNorm(x: Value, name: string, options: BatchNormOptions = {}): Value {
  const { epsilon = 1e-5, momentum = 0.9, scale = true } = options
  return scope(name, () => {
    const shape = [knownAxis(x, 1, 'batchNorm')]
    const trainable = (role: string, value: number) => parameter(role, shape, { kind: 'constant', value })
    const running = (role: string, value: number) =>
      parameter(role, shape, { kind: 'constant', value }, { trainable: false })
    return batchNormalization(
      x,
      {
        scale: scale ? trainable('scale', 1) : constant('float32', new Float32Array(shape[0]!).fill(1)),
        shift: trainable('shift', 0),
        mean: running('running_mean', 0),
        variance: running('running_variance', 1),
      },
      { epsilon, momentum },
    )
  })
}

/** Per-channel statistics of pixels in [0, 1]. */
export interface PixelStatistics {
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

/** uint8 images [N, C, H, W] → float32, (x/255 − mean)/std for each channel, as one multiplication and one addition. */
export function normalizePixels(images: Value, { mean, std }: PixelStatistics): Value {
  const perChannel = (values: readonly number[]) => constant('float32', values, [1, values.length, 1, 1])
  const scale = perChannel(std.map((deviation) => 1 / (255 * deviation)))
  const shift = perChannel(mean.map((value, c) => -value / std[c]!))
  return scope('normalize', () => {
    const pixels = scope('cast', () => cast(images, 'float32'))
    const scaled = scope('scale', () => mul(pixels, scale))
    return scope('shift', () => add(scaled, shift))
  })
}

/** Statistics of features, a number for each. */
export interface FeatureStatistics {
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

/**
 * Features [N, …, F] → (x − mean)/std for each of them, as constants of the graph: a model that takes the numbers as they were
 * measured. Whole numbers become float32.
 * @throws GraphError when there is not a mean and a positive standard deviation for each feature
 */
export function standardize(x: Value, { mean, std }: FeatureStatistics): Value {
  const features = knownAxis(x, x.shape.length - 1, 'standardize')
  for (const [name, values] of Object.entries({ mean, std })) {
    if (values.length !== features)
      throw new GraphError(`standardize: ${features} features need as many numbers for ${name}, got ${values.length}`)
  }
  const odd = [...mean, ...std.map((value) => (value > 0 ? value : Number.NaN))].findIndex(
    (value) => !Number.isFinite(value),
  )
  if (odd >= 0)
    throw new GraphError(
      `standardize: feature ${odd % features} has mean ${mean[odd % features]} and standard deviation ${std[odd % features]}; expected a finite mean and a deviation above 0`,
    )
  return scope('standardize', () => {
    const numbers = isFloat(x.dtype) ? x : scope('cast', () => cast(x, 'float32'))
    const perFeature = (values: readonly number[]) => constant(numbers.dtype, values, [features])
    const centred = scope('centre', () => sub(numbers, perFeature(mean)))
    return scope('scale', () => div(centred, perFeature(std)))
  })
}
