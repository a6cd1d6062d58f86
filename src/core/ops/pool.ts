// The largest of each window, and the gradient where the windows stand side by side.

import { composite } from '../graph/composite.js'
import {
  type Attributes,
  type AttributesOf,
  int,
  ONNX_DOMAIN,
  operator,
  required,
  TRAINING_DOMAIN,
} from '../graph/operator.js'
import { distinct, fixed, held, normal } from '../graph/sample.js'
import { isKnown, type Shape, sizeOf } from '../graph/shape.js'
import { numbers } from '../graph/tensor.js'
import { apply, apply1, constant, GraphError, type Value } from '../graph/value.js'
import { add, div, equal, max, mul, sub, where } from './elementwise.js'
import { indices } from './reference.js'
import { scatterAdd, scatterInto } from './scatter.js'
import { fillAs, reshape, reshapeTo, unsqueeze } from './shape.js'
import { concat, pad, slice } from './slice.js'
import {
  areaOf,
  autoPad,
  checkWindow,
  completeWindow,
  meetings,
  openPads,
  requireSizes,
  spanOf,
  type Window,
  type WindowAttributes,
  windowAttributes,
  windowCounts,
  windowOver,
} from './window.js'

export interface PoolAttributes extends WindowAttributes {
  readonly ceil_mode: number
}

export const poolAttributes = { ...windowAttributes, pads: openPads, ceil_mode: int(0), auto_pad: autoPad } as const

/** A pool's attributes with a whole window in them. auto_pad says how many places there are, whatever ceil_mode. */
export function completePool<A extends PoolAttributes>(attributes: A, given: Attributes, x: Value | undefined): A {
  const { ceil_mode, auto_pad, kernel_shape } = attributes
  const counted = auto_pad && auto_pad !== 'NOTSET'
  return completeWindow(
    { ...attributes, ceil_mode: counted ? 0 : ceil_mode },
    given,
    x?.shape.slice(2) ?? [],
    kernel_shape,
  )
}

export function pooledShape(x: Shape, attributes: PoolAttributes): Shape {
  const { kernel_shape: kernel, pads, dilations, ceil_mode } = attributes
  const axes = x.length - 2
  if (axes < 1) throw new GraphError('needs an input [N, C, …] with one spatial axis at least')
  checkWindow(attributes, axes)
  if (kernel?.length !== axes) throw new GraphError(`needs kernel_shape, ${axes} whole numbers from 1`)
  // A window that lies in the padding alone would have no mean and no maximum.
  if (pads?.some((amount, side) => amount >= spanOf(kernel[side % axes]!, dilations[side % axes]!)))
    throw new GraphError('pads must be smaller than the kernel')
  return [x[0]!, x[1]!, ...windowCounts(x.slice(2), kernel, attributes, ceil_mode === 1)]
}

/** The window of a pool over known sizes. */
export const poolWindow = (x: Shape, attributes: WindowAttributes): Window =>
  windowOver(requireSizes(x.slice(2)), attributes.kernel_shape!, attributes)

/** Visits each place of the output with the places of x that its window covers; padding is left out. */
export function forEachWindow(
  x: readonly number[],
  y: readonly number[],
  window: Window,
  visit: (yAt: number, covered: readonly number[]) => void,
): void {
  const taps = meetings(x.slice(2), y.slice(2), window)
  const [from, to] = [areaOf(x.slice(2)), areaOf(y.slice(2))]
  for (let plane = 0; plane < x[0]! * x[1]!; plane++)
    for (let place = 0; place < to; place++) {
      const covered = taps.flatMap((met) => (met[place]! < 0 ? [] : [plane * from + met[place]!]))
      visit(plane * to + place, covered)
    }
}

const attributes = { ...poolAttributes, storage_order: { kind: 'int', optional: true, default: 0 } } as const

/** A place in the whole of x, row-major, with the places of its plane counted along the first axis first. */
function columnMajor(place: number, spatial: readonly number[]): number {
  const area = areaOf(spatial)
  let rest = place % area
  let at = 0
  // From the last axis, which row-major order has next to each other, each adds its index times the sizes before it.
  for (let axis = spatial.length - 1; axis >= 0; axis--) {
    at += (rest % spatial[axis]!) * areaOf(spatial.slice(0, axis))
    rest = Math.floor(rest / spatial[axis]!)
  }
  return place - (place % area) + at
}

/**
 * The largest of each window (the first of equals, which the gradient goes to), and where in the whole of x it stands: an
 * int64 place, counted row by row, or column by column with storage_order=1.
 */
export const MaxPool = operator({
  name: 'MaxPool',
  domain: ONNX_DOMAIN,
  since: 12,
  attributes,
  arity: [1, 1],
  requiredOutputs: 1,
  differentiable: { outputs: [0] },
  complete([x], attributes, given) {
    const { storage_order, ...rest } = completePool(attributes, given, x)
    return { ...rest, storage_order: storage_order || undefined }
  },
  infer([x], attributes) {
    const shape = pooledShape(x!.shape, attributes)
    return [
      { dtype: x!.dtype, shape },
      { dtype: 'int64', shape },
    ]
  },
  gradient: {
    rule({ grad, inputs: [x], outputs: [y, places], attributes }) {
      const spatial = requireSizes(x!.shape.slice(2))
      const { kernel_shape, storage_order, ...window } = attributes
      if (isTiling(spatial, attributes)) return [apply1(MaxPoolGrad, [grad, x!, y!], { kernel_shape: kernel_shape! })]
      const byRows: Value = storage_order ? apply(MaxPool, [x!], { kernel_shape, ...window })[1]! : places!
      const { strides, dilations } = attributes
      return [apply1(MaxPoolScatter, [grad, byRows, x!], { kernel_shape: kernel_shape!, strides, dilations })]
    },
  },
  evaluate([x], attributes) {
    const window = poolWindow(x!.shape, attributes)
    const shape = pooledShape(x!.shape, { ...attributes, ...window }) as readonly number[]
    const values = new Float64Array(Number(sizeOf(shape)))
    const places = new Float64Array(values.length)
    const spatial = x!.shape.slice(2)
    forEachWindow(x!.shape, shape, window, (yAt, covered) => {
      if (covered.length === 0) {
        values[yAt] = Number.NEGATIVE_INFINITY
        return
      }
      const best = covered.reduce((a, b) => (x!.data[b]! > x!.data[a]! ? b : a))
      values[yAt] = x!.data[best]!
      places[yAt] = attributes.storage_order ? columnMajor(best, spatial) : best
    })
    return [numbers(x!.dtype, shape, values), numbers('int64', shape, places)]
  },
  samples: [
    { inputs: [distinct(2, 2, 4, 4)], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
    { inputs: [distinct(1, 2, 5, 7)], attributes: { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1] } },
    { inputs: [distinct(1, 1, 7, 7)], attributes: { kernel_shape: [2, 2], dilations: [2, 3] } },
    { inputs: [distinct(1, 2, 7)], attributes: { kernel_shape: [3], strides: [2], ceil_mode: 1, pads: [1, 0] } },
    { inputs: [distinct(1, 2, 5, 6)], attributes: { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 } },
    { inputs: [distinct(1, 2, 4, 5, 3)], attributes: { kernel_shape: [2, 3, 2], strides: [2, 1, 1] } },
    { inputs: [distinct(1, 2, 5, 5)], attributes: { kernel_shape: [3, 3], strides: [2, 2], auto_pad: 'SAME_UPPER' } },
    { inputs: [distinct(1, 2, 4, 5)], attributes: { kernel_shape: [2, 3], auto_pad: 'SAME_LOWER', storage_order: 1 } },
    { inputs: [fixed('uint8', [1, 1, 2, 3], [3, 250, 1, 0, 7, 9])], attributes: { kernel_shape: [2, 2] } },
  ],
})

/** Whether the windows stand side by side on two axes, each place in one of them at most. */
const isTiling = (
  spatial: readonly number[],
  { kernel_shape, strides, pads, dilations, ceil_mode }: PoolAttributes,
): boolean =>
  spatial.length === 2 &&
  strides.join() === kernel_shape!.join() &&
  pads!.every((amount) => amount === 0) &&
  dilations.every((dilation) => dilation === 1) &&
  (ceil_mode === 0 || spatial.every((size, axis) => size % kernel_shape![axis]! === 0))

/** The gradient of MaxPool where the windows stand side by side: without a scatter over all places. */
export const MaxPoolGrad = composite({
  name: 'MaxPoolGrad',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['dy', 'x', 'y'],
    outputs: ['dx'],
    text:
      'The gradient of MaxPool whose windows stand side by side (strides as the kernel, no pads): dx is dy at the first place ' +
      'of a window, row by row, that holds its maximum y, else 0.',
  },
  attributes: { kernel_shape: required('ints') },
  arity: [3, 3],
  differentiable: { inputs: [0] },
  check([, x]) {
    if (x!.shape.length !== 4 || !x!.shape.slice(2).every(isKnown))
      throw new GraphError('needs an input [N, C, H, W] of known height and width')
  },
  body: ([dy, x, y], { kernel_shape }) => [maxPoolGrad([dy!, x!, y!], kernel_shape, [2, 3])],
  samples: [
    {
      inputs: [
        normal(1, 1, 1, 2),
        held('float32', [1, 1, 2, 4], [1, 3, 3, 2, 3, 0, 3, 5]),
        held('float32', [1, 1, 1, 2], [3, 5]),
      ],
      attributes: { kernel_shape: [2, 2] },
    },
    {
      inputs: [
        normal(1, 1, 2, 1),
        held('float32', [1, 1, 7, 3], [0, 1, 9, 2, 2, 9, 2, 0, 9, 4, 4, 9, 4, 4, 9, 4, 4, 9, 9, 9, 9]),
        held('float32', [1, 1, 2, 1], [2, 4]),
      ],
      attributes: { kernel_shape: [3, 2] },
    },
  ],
})

const scatterAttributes = {
  kernel_shape: required('ints'),
  strides: required('ints'),
  dilations: required('ints'),
} as const

/** The gradient of MaxPool whatever its windows: of several that have their maximum at one place the gradients add up. */
export const MaxPoolScatter = composite({
  name: 'MaxPoolScatter',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['dy', 'places', 'x'],
    outputs: ['dx'],
    text: 'The gradient of MaxPool: dx is the sum of dy over the windows whose maximum stands there. places count the whole of x.',
  },
  attributes: scatterAttributes,
  arity: [3, 3],
  differentiable: { inputs: [0] },
  check: ([, , x]) => void requireSizes(x!.shape.slice(2)),
  body: ([dy, places, x]) => [inPlanes([dy!, places!, x!], (zeros, at, added) => scatterAdd(zeros, at, added, 2))],
  samples: [
    {
      inputs: [
        normal(1, 2, 2, 1),
        fixed('int64', [1, 2, 2, 1], [4, 4, 9, 11]),
        held('float32', [1, 2, 3, 2], Array(12).fill(0)),
      ],
      attributes: { kernel_shape: [2, 2], strides: [1, 1], dilations: [1, 1] },
    },
  ],
})

/** Plane by plane, [N, C, places]: places in the whole of x become places in their plane. */
function inPlanes(
  [dy, places, x]: readonly [Value, Value, Value],
  scatter: (zeros: Value, at: Value, added: Value) => Value,
): Value {
  const area = constant('int64', areaOf(requireSizes(x.shape.slice(2))))
  const inPlane = sub(places, mul(div(places, area), area))
  const flat = (value: Value) => reshape(value, [0, 0, -1])
  return reshapeTo(scatter(flat(fillAs(0, x)), flat(inPlane), flat(dy)), x.shape, x)
}

/**
 * MaxPoolScatter in scatters that add nothing up, which runtimes have that lack the others: windows so far apart that they do
 * not overlap are one scatter, and the scatters are added. Two on an axis for a kernel of 3 and a stride of 2.
 */
export function scatterApart(
  [dy, places, x]: readonly [Value, Value, Value],
  { kernel_shape, strides, dilations }: AttributesOf<typeof scatterAttributes>,
): Value {
  const counts = requireSizes(dy.shape.slice(2))
  const apart = kernel_shape.map((size, axis) => Math.ceil(spanOf(size, dilations[axis]!) / strides[axis]!))
  const axes = counts.map((_, axis) => axis + 2)
  const parts = indices(apart.map((step, axis) => Math.min(step, counts[axis]!)))
  const scattered = Array.from(parts, (from) => {
    const part = (value: Value) => slice(value, axes, [...from], counts, apart)
    return inPlanes([part(dy), part(places), x], (zeros, at, put) => scatterInto(zeros, at, put, 2))
  })
  return scattered.reduce((a, b) => add(a, b))
}

/**
 * Row by row, and in a row column by column, the first that holds the maximum gets all of dy.
 * @param tensors dy, x and y of one layout
 * @param axes of height and width in that
 */
export function maxPoolGrad(
  [dy, x, y]: readonly [Value, Value, Value],
  kernel: readonly number[],
  [rows, columns]: readonly [number, number],
): Value {
  const whole = (axis: number, size: number) => (y.shape[axis] as number) * size
  const taps = (value: Value, axis: number, size: number): Value[] =>
    Array.from({ length: size }, (_, tap) => slice(value, [axis], [tap], [whole(axis, size)], [size]))
  const [height, width] = kernel as readonly [number, number]
  const lines = taps(x, rows, height).map((line) => taps(line, columns, width))
  const lineMaxima = lines.map((line) => line.reduce((a, b) => max(a, b)))
  const perLine = handOut(dy, lineMaxima, y)
  const spread = lines.map((line, i) => interleaved(handOut(perLine[i]!, line, lineMaxima[i]!), columns))
  const inner = interleaved(spread, rows)
  const rest = [rows, columns].map((axis, i) => (x.shape[axis] as number) - whole(axis, kernel[i]!))
  return rest.some((amount) => amount > 0) ? pad(inner, [rows, columns], [0, 0], rest) : inner
}

/** The gradient of the maximum by each of what it is taken over: all of it to the first that is the maximum. */
function handOut(gradient: Value, candidates: readonly Value[], maximum: Value): readonly Value[] {
  let rest = gradient
  return candidates.map((candidate, i) => {
    if (i === candidates.length - 1) return rest
    const own = where(equal(candidate, maximum), rest, 0)
    rest = sub(rest, own)
    return own
  })
}

/** Values of one shape, in turn along an axis. */
function interleaved(parts: readonly Value[], axis: number): Value {
  const joined = concat(
    parts.map((part) => unsqueeze(part, axis + 1)),
    axis + 1,
  )
  const { shape } = parts[0]!
  const sizes = shape.map((dim, i) => (i < axis ? 0 : i === axis ? (dim as number) * parts.length : (dim as number)))
  return reshape(joined, sizes)
}

/** The window of a pool: one number an axis behind the first two. */
export type PoolOptions = { readonly [K in keyof Window]?: Window[K] | undefined }
/** The largest of each window: x [N, C, …]. The first of equal numbers gets the gradient. */
export const maxPool = (x: Value, options: PoolOptions): Value => apply(MaxPool, [x], options)[0]!
