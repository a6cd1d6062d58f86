// Pools over regions of interest, whose edges are operands.

import { composite } from '../graph/composite.js'
import { knownIn } from '../graph/dims.js'
import { float, int, ONNX_DOMAIN, type Operator, older, required, string } from '../graph/operator.js'
import { distinct, fixed, held, normal } from '../graph/sample.js'
import { isKnown, type Shape } from '../graph/shape.js'
import { isFloat } from '../graph/tensor.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import {
  abs,
  add,
  and,
  cast,
  div,
  floor,
  greater,
  greaterOrEqual,
  less,
  lessOrEqual,
  max,
  min,
  mul,
  sub,
  where,
} from './elementwise.js'
import { gather, gatherElements } from './indexing.js'
import { matmul } from './matmul.js'
import { reduceMax, reduceSum } from './reduction.js'
import { Expand, reshape, shapeVector, transpose, unsqueeze } from './shape.js'
import { Concat } from './slice.js'
import { requireSizes } from './window.js'

const LOWEST = -3.4e38

function checkRois([x, rois]: readonly Value[], columns: number): void {
  if (x!.shape.length !== 4 || !isFloat(x!.dtype)) throw new GraphError('needs a floating-point input [N, C, H, W]')
  if (rois!.shape.length !== 2 || (isKnown(rois!.shape[1]!) && rois!.shape[1] !== columns))
    throw new GraphError(`needs regions [number of regions, ${columns}]`)
}

const column = (rois: Value, at: number): Value => gather(rois, constant('int64', [at]), 1)
const range = (size: number): readonly number[] => Array.from({ length: size }, (_, i) => i)

const alignAttributes = {
  coordinate_transformation_mode: string('half_pixel'),
  mode: string('avg'),
  output_height: int(1),
  output_width: int(1),
  sampling_ratio: int(0),
  spatial_scale: float(1),
} as const
interface AlignAttributes {
  readonly coordinate_transformation_mode: string
  readonly mode: string
  readonly output_height: number
  readonly output_width: number
  readonly sampling_ratio: number
  readonly spatial_scale: number
}

/** The points of all bins along one axis. */
interface Points {
  /** [R, bins · points], held to the places that there are. */
  readonly at: Value
  /** Of the same shape: 1 where a point is, at most one place beyond the edges, and 0 elsewhere. */
  readonly valid: Value
  /** Points of a bin, at most. */
  readonly most: number
  /** Of each region: a number, or [R, 1]. */
  readonly each: Value | number
  /** [R, bins · points], whether a region has so many points; given where they differ. */
  readonly present?: Value | undefined
}

function pointsAlong(rois: Value, axis: 0 | 1, size: number, bins: number, attributes: AlignAttributes): Points {
  const { sampling_ratio: ratio, spatial_scale: scale, coordinate_transformation_mode } = attributes
  const half = coordinate_transformation_mode === 'half_pixel'
  const edge = (at: number) => sub(mul(column(rois, at), scale), half ? 0.5 : 0)
  const [start, end] = [edge(1 - axis), edge(3 - axis)]
  const extent = half ? sub(end, start) : max(sub(end, start), 1)
  const bin = div(extent, bins)
  const { counts, each } = ratio > 0 ? { counts: [ratio], each: ratio } : adaptive(rois, axis, bins, attributes)
  const most = Math.max(1, ...counts)
  const offsets = counts.flatMap((count) =>
    range(bins).flatMap((at) => range(most).map((point) => at + (point + 0.5) / Math.max(1, count))),
  )
  const y = add(start, mul(bin, constant(rois.dtype, offsets, [counts.length, bins * most])))
  const inside = cast(and(greaterOrEqual(y, -1), lessOrEqual(y, size)), rois.dtype)
  const present = counts.some((count) => count !== most)
    ? constant(
        rois.dtype,
        counts.flatMap((count) => range(bins).flatMap(() => range(most).map((point) => Number(point < count)))),
        [counts.length, bins * most],
      )
    : undefined
  return { at: max(min(y, size - 1), 0), valid: present ? mul(inside, present) : inside, most, each, present }
}

/** How many points a bin of each region has by its size: known where the regions are. */
function adaptive(rois: Value, axis: 0 | 1, bins: number, attributes: AlignAttributes) {
  const known = knownIn(rois)
  if (!known) throw new GraphError('needs regions that are known before anything runs, or a sampling_ratio')
  const half = attributes.coordinate_transformation_mode === 'half_pixel'
  const counts = range(known.length / 4).map((roi) => {
    const extent = (known[roi * 4 + 3 - axis]! - known[roi * 4 + 1 - axis]!) * attributes.spatial_scale
    return Math.max(0, Math.ceil((half ? extent : Math.max(1, extent)) / bins))
  })
  const each = constant(
    rois.dtype,
    counts.map((count) => Math.max(1, count)),
    [counts.length, 1],
  )
  return { counts, each }
}

/** How much each place counts in each bin, [R, bins, places]: the mean of linear weights around its points. */
function binWeights({ at, valid, most, each }: Points, size: number, bins: number): Value {
  const places = constant(at.dtype, range(size))
  const hats = max(sub(1, abs(sub(unsqueeze(at, 2), places))), 0)
  const counted = reshape(mul(hats, unsqueeze(valid, 2)), [-1, bins, most, size])
  const sums = reduceSum(counted, [2], { keepdims: 0 })
  return div(sums, typeof each === 'number' ? each : unsqueeze(each, 2))
}

/** The places before and after each point with their weights, [R, bins · points · 2]. */
function neighbours({ at, valid, present }: Points, size: number) {
  const low = floor(at)
  const past = sub(at, low)
  const flat = (before: Value, after: Value) => {
    const both = [before, after].map((value) => unsqueeze(value, 2))
    return reshape(apply1(Concat, both, { axis: 2 }), [0, -1])
  }
  return {
    places: flat(low, min(add(low, 1), size - 1)),
    weights: flat(mul(sub(1, past), valid), mul(past, valid)),
    present: present && flat(present, present),
  }
}

const roiAlign = composite({
  name: 'RoiAlign',
  domain: ONNX_DOMAIN,
  since: 16,
  older: [
    older({
      until: 15,
      attributes: {
        mode: string('avg'),
        output_height: int(1),
        output_width: int(1),
        sampling_ratio: int(0),
        spatial_scale: float(1),
      },
      read: (inputs, attributes) => [
        apply1(RoiAlign, inputs, { ...attributes, coordinate_transformation_mode: 'output_half_pixel' }),
      ],
    }),
  ],
  attributes: alignAttributes,
  arity: [3, 3],
  differentiable: { inputs: [0] },
  body([x, rois, batches], attributes): readonly Value[] {
    const { mode, output_height: rows, output_width: columns } = attributes
    const [height, width] = requireSizes(x!.shape.slice(2)) as readonly [number, number]
    const images = gather(x!, batches!, 0)
    const vertical = pointsAlong(rois!, 0, height, rows, attributes)
    const horizontal = pointsAlong(rois!, 1, width, columns, attributes)
    if (mode === 'avg') {
      const [wy, wx] = [binWeights(vertical, height, rows), binWeights(horizontal, width, columns)]
      return [matmul(matmul(unsqueeze(wy, 1), images), unsqueeze(transpose(wx, [0, 2, 1]), 1))]
    }
    // Of each point the largest of its four weighted neighbours, as ONNX Runtime has it.
    const [y, z] = [neighbours(vertical, height), neighbours(horizontal, width)]
    const cross = (a: Value, b: Value) => [unsqueeze(a, 2), unsqueeze(b, 1)] as const
    const [py, px] = cross(y.places, z.places)
    const [wy, wx] = cross(y.weights, z.weights)
    const places = cast(reshape(add(mul(py, width), px), [0, 1, -1]), 'int64')
    const everyChannel = apply1(Expand, [places, shapeVector([1, x!.shape[1]!, 1], [x!])])
    const values = gatherElements(reshape(images, [0, 0, -1]), everyChannel, 2)
    const weighted = mul(values, reshape(mul(wy, wx), [0, 1, -1]))
    const split = (value: Value, channels: number) =>
      reshape(value, [0, channels, rows, 2 * vertical.most, columns, 2 * horizontal.most])
    const all = split(weighted, 0)
    const ones = (value: Value) => add(mul(value, 0), 1)
    const [sy, sx] = cross(y.present ?? ones(y.places), z.present ?? ones(z.places))
    const some = vertical.present || horizontal.present
    const largest = reduceMax(
      some ? where(greater(split(reshape(mul(sy, sx), [0, 1, -1]), 1), 0.5), all, LOWEST) : all,
      [3, 5],
      { keepdims: 0 },
    )
    return [some ? where(less(largest, LOWEST / 2), 0, largest) : largest]
  },
  samples: [
    alignSample({ sampling_ratio: 2, output_height: 2, output_width: 3 }),
    alignSample({ output_height: 2, output_width: 2, coordinate_transformation_mode: 'output_half_pixel' }),
    alignSample({ sampling_ratio: 1, output_height: 2, output_width: 2, mode: 'max', spatial_scale: 0.8 }),
    alignSample({ output_height: 2, output_width: 2, mode: 'max' }),
  ],
})
function alignSample(attributes: Partial<AlignAttributes>) {
  const rois = held('float32', [2, 4], [0.3, 0.6, 4.1, 3.2, -0.4, 1.2, 2.7, 5.3])
  return { inputs: [normal(2, 2, 5, 6), rois, fixed('int64', [2], [1, 0])], attributes }
}

/**
 * Regions [x1, y1, x2, y2] of images, each in so many bins: the mean, or the largest, of points that are interpolated linearly (He
 * et al. 2017). The regions get no gradient, as in PyTorch.
 */
export const RoiAlign: Operator<typeof alignAttributes> = {
  ...roiAlign,
  infer([x, rois, batches], { mode, output_height, output_width, coordinate_transformation_mode }) {
    checkRois([x!, rois!], 4)
    if (batches!.shape.length !== 1) throw new GraphError('needs a vector that says the image of each region')
    if (mode !== 'avg' && mode !== 'max') throw new GraphError(`mode '${mode}' is not one of avg, max`)
    if (!['half_pixel', 'output_half_pixel'].includes(coordinate_transformation_mode))
      throw new GraphError(
        `coordinate_transformation_mode '${coordinate_transformation_mode}' is not one of half_pixel, output_half_pixel`,
      )
    const shape: Shape = [rois!.shape[0]!, x!.shape[1]!, output_height, output_width]
    return [{ dtype: x!.dtype, shape }]
  },
}

/** Whether a place lies in a bin, [R, bins, places], along one axis. */
function inBins(rois: Value, axis: 0 | 1, size: number, bins: number, scale: number): Value {
  const edge = (at: number) => floor(add(mul(column(rois, at), scale), 0.5))
  const [start, end] = [edge(2 - axis), edge(4 - axis)]
  const bin = div(max(add(sub(end, start), 1), 1), bins)
  const numbers = constant(rois.dtype, range(bins), [1, bins])
  const from = add(start, floor(mul(bin, numbers)))
  // ⌈a⌉ = −⌊−a⌋
  const to = sub(start, floor(mul(bin, sub(-1, numbers))))
  const places = constant(rois.dtype, range(size))
  return and(greaterOrEqual(places, unsqueeze(from, 2)), less(places, unsqueeze(to, 2)))
}

/**
 * The largest of each bin of regions [image, x1, y1, x2, y2], whose edges are rounded (Girshick 2015); 0 for an empty bin. At ties
 * the gradient is shared evenly; the regions get none.
 */
export const MaxRoiPool = composite({
  name: 'MaxRoiPool',
  domain: ONNX_DOMAIN,
  since: 1,
  attributes: { pooled_shape: required('ints'), spatial_scale: float(1) },
  arity: [2, 2],
  differentiable: { inputs: [0] },
  check([x, rois], { pooled_shape }) {
    checkRois([x!, rois!], 5)
    if (pooled_shape.length !== 2) throw new GraphError('pooled_shape must be 2 whole numbers from 1')
  },
  body([x, rois], { pooled_shape, spatial_scale }) {
    const [height, width] = requireSizes(x!.shape.slice(2)) as readonly [number, number]
    const [rows, columns] = pooled_shape as readonly [number, number]
    const images = gather(x!, cast(reshape(column(rois!, 0), [-1]), 'int64'), 0)
    const [inRows, inColumns] = [
      inBins(rois!, 0, height, rows, spatial_scale),
      inBins(rois!, 1, width, columns, spatial_scale),
    ]
    // [R, C, rows, H, W] → [R, C, rows, W] → [R, C, rows, columns, W] → [R, C, rows, columns]
    const byRows = where(unsqueeze(inRows, 1, -1), unsqueeze(images, 2), LOWEST)
    const tall = reduceMax(byRows, [3], { keepdims: 0 })
    const byColumns = where(unsqueeze(inColumns, 1, 2), unsqueeze(tall, 3), LOWEST)
    const largest = reduceMax(byColumns, [4], { keepdims: 0 })
    return [where(less(largest, LOWEST / 2), 0, largest)]
  },
  samples: [
    {
      inputs: [distinct(2, 2, 5, 6), held('float32', [3, 5], [0, 0, 1, 4, 3, 1, 2, 0, 3, 4, 0, 7, 7, 9, 9])],
      attributes: { pooled_shape: [2, 2] },
    },
    {
      inputs: [distinct(1, 2, 6, 6), held('float32', [1, 5], [0, 1.4, 2, 9.2, 8])],
      attributes: { pooled_shape: [3, 2], spatial_scale: 0.5 },
    },
  ],
})
