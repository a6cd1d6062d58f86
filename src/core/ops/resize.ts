// Resize, and Upsample, its name in old files.

import { composite } from '../graph/composite.js'
import { dimsIn, knownIn } from '../graph/dims.js'
import {
  float,
  int,
  ONNX_DOMAIN,
  type Operator,
  older,
  operator,
  optional,
  required,
  string,
} from '../graph/operator.js'
import { fixed, held, ints, normal } from '../graph/sample.js'
import { type Dim, isKnown, isStatic, type Shape, sizeOf, unknownDim } from '../graph/shape.js'
import { type DType, isFloat, numbers } from '../graph/tensor.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { add } from './elementwise.js'
import {
  along,
  coordinateModes,
  type Interpolation,
  matrixOf,
  modes,
  nearestModes,
  type Row,
  rowsOf,
  type Stretch,
  summed,
} from './interpolation.js'
import { requireAxes, transpose } from './shape.js'

const attributes = {
  antialias: int(0),
  axes: optional('ints'),
  coordinate_transformation_mode: string('half_pixel'),
  cubic_coeff_a: float(-0.75),
  exclude_outside: int(0),
  extrapolation_value: float(0),
  keep_aspect_ratio_policy: string('stretch'),
  mode: string('nearest'),
  nearest_mode: string('round_prefer_floor'),
} as const

interface Attributes extends Interpolation {
  readonly axes?: readonly number[] | undefined
  readonly extrapolation_value: number
  readonly keep_aspect_ratio_policy: string
}

/** What is known of the operands beside x. */
interface Operands {
  readonly roi: readonly number[] | undefined
  readonly scales: readonly number[] | undefined
  readonly sizes: Shape | undefined
}

/** An operand that is there: files give an empty vector for none. */
const present = (value: Value | undefined): Value | undefined => (value && value.shape[0] !== 0 ? value : undefined)

const knownOperands = ([, roi, scales, sizes]: readonly (Value | undefined)[]): Operands => ({
  roi: knownIn(present(roi)),
  scales: knownIn(present(scales)),
  sizes: dimsIn(present(sizes)),
})

/** A dimension times a scale, rounded down. */
function scaled(dim: Dim, scale: number): Dim {
  if (isKnown(dim)) return Math.floor(dim * scale)
  return Number.isInteger(scale) ? sizeOf([scale, dim]) : unknownDim()
}

/** The scale that all axes share, so that each is at most, or at least, as long as its size. */
function sharedScale(x: Shape, axes: readonly number[], sizes: readonly number[], policy: string): number | undefined {
  if (policy === 'stretch') return undefined
  const all = axes.map((axis, i) => sizes[i]! / (x[axis] as number))
  return policy === 'not_larger' ? Math.min(...all) : Math.max(...all)
}

function resizedShape(x: Shape, axes: readonly number[], { scales, sizes }: Operands, policy: string): Shape {
  const result = [...x]
  const known = sizes && isStatic(sizes) && isStatic(axes.map((axis) => x[axis]!))
  const shared = known ? sharedScale(x, axes, sizes, policy) : undefined
  axes.forEach((axis, i) => {
    if (scales) result[axis] = scaled(x[axis]!, scales[i]!)
    else if (sizes && policy === 'stretch') result[axis] = sizes[i]!
    else result[axis] = shared === undefined ? unknownDim() : Math.floor(shared * (x[axis] as number) + 0.5)
  })
  return result
}

/** How each axis is stretched, of those that are. */
function stretches(
  x: Shape,
  axes: readonly number[],
  operands: Operands,
  { keep_aspect_ratio_policy: policy, coordinate_transformation_mode }: Attributes,
): ReadonlyMap<number, Stretch> {
  const { roi, scales, sizes } = operands
  const crops = coordinate_transformation_mode === 'tf_crop_and_resize'
  // An axis that stays as long as it is may be a symbol, such as the batch.
  const isSaid = scales || (sizes && (policy === 'stretch' || isStatic(sizes)))
  if (!isSaid || (crops && !roi))
    throw new GraphError('needs scales or sizes, and the region of interest, that are known before anything runs')
  const shape = resizedShape(x, axes, operands, policy)
  const found = new Map<number, Stretch>()
  axes.forEach((axis, i) => {
    if (x[axis] === shape[axis] && (scales?.[i] ?? 1) === 1 && !crops) return
    const [from, to] = [x[axis]!, shape[axis]!]
    if (!isKnown(from) || !isKnown(to))
      throw new GraphError(`needs known sizes along the axes that are resized, got '${isKnown(from) ? to : from}'`)
    const shared = sizes && isStatic(sizes) ? sharedScale(x, axes, sizes, policy) : undefined
    const part = crops ? ([roi![i]!, roi![i + axes.length]!] as const) : undefined
    if (part?.[0] === 0 && part[1] === 1 && from === to && (scales?.[i] ?? 1) === 1) return
    found.set(axis, { from, to, scale: scales?.[i] ?? shared ?? to / from, roi: part })
  })
  return found
}

const axesOf = (rank: number, axes: readonly number[] | undefined): readonly number[] =>
  requireAxes(axes ?? Array.from({ length: rank }, (_, axis) => axis), rank)

/** The resize as matrix products; what lies outside the input is added. */
function byMatrices(inputs: readonly Value[], attributes: Attributes): Value {
  const [x] = inputs
  const axes = axesOf(x!.shape.length, attributes.axes)
  let result = x!
  for (const [axis, stretch] of stretches(x!.shape, axes, knownOperands(inputs), attributes)) {
    const rows = rowsOf(stretch, attributes)
    // An axis after the other: sums of weights are 1, so that what was added stays what it is.
    result = along(result, axis, matrixOf(rows, stretch.from, x!.dtype))
    if (rows.some((row) => row.length === 0) && attributes.extrapolation_value !== 0)
      result = add(result, outside(rows, axis, x!.shape.length, x!.dtype, attributes.extrapolation_value))
  }
  return result
}

const outside = (rows: readonly Row[], axis: number, rank: number, dtype: DType, value: number): Value =>
  constant(
    dtype,
    rows.map((row) => (row.length === 0 ? value : 0)),
    Array.from({ length: rank }, (_, i) => (i === axis ? rows.length : 1)),
  )

/** Whole numbers are rounded, halves to even, and held to the type. */
const limits: Partial<Readonly<Record<DType, readonly [number, number]>>> = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
  uint32: [0, 2 ** 32 - 1],
  int32: [-(2 ** 31), 2 ** 31 - 1],
}
function fitted(value: number, dtype: DType): number {
  if (isFloat(dtype)) return value
  const low = Math.floor(value)
  const whole = value - low === 0.5 ? low + (Math.abs(low) % 2) : Math.round(value)
  const [least, most] = limits[dtype] ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  return Math.max(least, Math.min(most, whole))
}

/**
 * x on a finer or coarser grid, by the nearest place or by weighted sums of the places around. It is linear in x and works axis by
 * axis: the gradient goes back through the transposed sums.
 */
export const Resize: Operator<typeof attributes> = operator({
  name: 'Resize',
  domain: ONNX_DOMAIN,
  since: 18,
  before: {
    lacks: ['antialias', 'axes', 'keep_aspect_ratio_policy'],
    instead(inputs, attributes) {
      const { antialias, axes, keep_aspect_ratio_policy } = attributes
      const needed = antialias || axes || keep_aspect_ratio_policy !== 'stretch'
      return needed ? [byMatrices(inputs as readonly Value[], attributes)] : undefined
    },
  },
  older: [
    older({
      until: 10,
      attributes: { mode: string('nearest') },
      // The nearest place is the one before, or, where there are fewer, the one after.
      read([x, scales], { mode }) {
        const known = knownIn(scales)
        if (!known || mode !== 'nearest' || known.every((scale) => scale >= 1)) return [upsampled(x!, scales!, mode)]
        const only = (keep: (scale: number) => boolean) => known.map((scale) => (keep(scale) ? scale : 1))
        const fewer = resize(
          x!,
          constant(
            'float32',
            only((scale) => scale < 1),
          ),
          { ...simple, nearest_mode: 'ceil' },
        )
        return [
          upsampled(
            fewer,
            constant(
              'float32',
              only((scale) => scale >= 1),
            ),
            mode,
          ),
        ]
      },
    }),
  ],
  attributes,
  arity: [1, 4],
  differentiable: { inputs: [0] },
  infer(inputs, attributes) {
    const [x, roi, scales, sizes] = inputs
    const { mode, coordinate_transformation_mode, nearest_mode, antialias, keep_aspect_ratio_policy } = attributes
    const oneOf = (what: string, value: string, all: readonly string[]) => {
      if (!all.includes(value)) throw new GraphError(`${what} '${value}' is not one of ${all.join(', ')}`)
    }
    oneOf('mode', mode, modes)
    oneOf('coordinate_transformation_mode', coordinate_transformation_mode, coordinateModes)
    oneOf('nearest_mode', nearest_mode, nearestModes)
    oneOf('keep_aspect_ratio_policy', keep_aspect_ratio_policy, ['stretch', 'not_larger', 'not_smaller'])
    if (antialias && mode === 'nearest') throw new GraphError('antialias goes with linear and cubic')
    if (!present(scales) === !present(sizes)) throw new GraphError('needs either scales or sizes')
    if (coordinate_transformation_mode === 'tf_crop_and_resize' && !present(roi))
      throw new GraphError('tf_crop_and_resize needs a region of interest')
    const axes = axesOf(x!.shape.length, attributes.axes)
    const given = present(scales) ?? present(sizes)!
    if (isKnown(sizeOf(given.shape)) && sizeOf(given.shape) !== axes.length)
      throw new GraphError(`scales and sizes need one number each of ${axes.length} axes`)
    const shape = resizedShape(x!.shape, axes, knownOperands(inputs), keep_aspect_ratio_policy)
    return [{ dtype: x!.dtype, shape }]
  },
  gradient: {
    rule({ grad, inputs, attributes }) {
      const [x] = inputs
      const axes = axesOf(x!.shape.length, attributes.axes)
      let dx = grad
      for (const [axis, stretch] of stretches(x!.shape, axes, knownOperands(inputs), attributes))
        dx = along(dx, axis, transpose(matrixOf(rowsOf(stretch, attributes), stretch.from, grad.dtype), [1, 0]))
      return [dx, undefined, undefined]
    },
  },
  evaluate([x, roi, scales, sizes], attributes) {
    const listed = (value: { data: Float64Array } | undefined) => (value?.data.length ? [...value.data] : undefined)
    const operands = { roi: listed(roi), scales: listed(scales), sizes: listed(sizes) }
    const axes = axesOf(x!.shape.length, attributes.axes)
    let result = x!
    for (const [axis, stretch] of stretches(x!.shape, axes, operands, attributes))
      result = summed(result, axis, rowsOf(stretch, attributes), attributes.extrapolation_value)
    return [
      numbers(
        x!.dtype,
        result.shape,
        result.data.map((value) => fitted(value, x!.dtype)),
      ),
    ]
  },
  samples: [
    sample([1, 1, 2, 3], [1, 1, 2, 2]),
    sample([1, 2, 4, 3], [1, 1, 0.6, 2.5], { nearest_mode: 'ceil', coordinate_transformation_mode: 'asymmetric' }),
    sample([1, 2, 4, 3], [1, 1, 1.5, 2], { mode: 'linear' }),
    sample([1, 1, 4, 5], [1, 1, 0.75, 1.6], { mode: 'linear', coordinate_transformation_mode: 'align_corners' }),
    sample([1, 1, 4, 4], [1, 1, 2, 0.8], { mode: 'cubic' }),
    sample([1, 1, 4, 4], [1, 1, 0.8, 0.8], { mode: 'cubic', exclude_outside: 1, cubic_coeff_a: -0.5 }),
    sample([1, 1, 6, 6], [1, 1, 0.5, 0.6], { mode: 'linear', antialias: 1 }),
    sample([1, 1, 6, 6], [1, 1, 0.6, 0.6], { mode: 'cubic', antialias: 1 }),
    {
      inputs: [normal(1, 1, 4, 3), undefined, undefined, ints(5, 2)],
      attributes: { axes: [2, 3], mode: 'linear', coordinate_transformation_mode: 'pytorch_half_pixel' },
    },
    {
      inputs: [normal(1, 1, 4, 4), held('float32', [8], [0, 0, 0.4, 0.6, 1, 1, 1.2, 1.7]), undefined, ints(1, 1, 3, 3)],
      attributes: { mode: 'linear', coordinate_transformation_mode: 'tf_crop_and_resize', extrapolation_value: 2 },
    },
    {
      inputs: [normal(1, 1, 2, 4), undefined, undefined, ints(7, 8)],
      attributes: { axes: [2, 3], keep_aspect_ratio_policy: 'not_larger' },
    },
    { inputs: [fixed('uint8', [1, 1, 2, 2], [1, 2, 250, 4]), undefined, fixed('float32', [4], [1, 1, 2, 1])] },
  ],
})

function sample(shape: readonly number[], scales: readonly number[], attributes: Partial<Attributes> = {}) {
  return { inputs: [normal(...shape), undefined, held('float32', [scales.length], scales)], attributes }
}

/**
 * x enlarged or made smaller, by one scale an axis, float32 [rank]. By what rule, the attributes say as ONNX's Resize has
 * them: nearest unless given.
 */
export const resize = (x: Value, scales: Value, attributes: Partial<Attributes>): Value =>
  apply1(Resize, [x, undefined, scales], attributes)

/** Before version 11 places count from the corner. */
const simple = { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' } as const
const upsampled = (x: Value, scales: Value, mode: string): Value =>
  resize(x, scales, { ...simple, mode: mode === 'bilinear' ? 'linear' : mode })

/** Resize before version 10, where it only made more. */
export const Upsample = composite({
  name: 'Upsample',
  domain: ONNX_DOMAIN,
  since: 9,
  until: 9,
  older: [
    older({
      until: 8,
      attributes: { mode: string('nearest'), scales: required('floats') },
      read: ([x], { mode, scales }) => [upsampled(x!, constant('float32', scales), mode)],
    }),
  ],
  attributes: { mode: string('nearest') },
  arity: [2, 2],
  differentiable: { inputs: [0] },
  body: ([x, scales], { mode }) => [upsampled(x!, scales!, mode)],
  samples: [
    { inputs: [normal(1, 1, 2, 2), held('float32', [4], [1, 1, 2, 3])] },
    { inputs: [normal(1, 1, 2, 2), held('float32', [4], [1, 1, 2, 1.5])], attributes: { mode: 'linear' } },
  ],
})
