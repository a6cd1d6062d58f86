// Sampling by a grid: GridSample, AffineGrid that makes grids, and DeformConv, a convolution that samples where it is told to.

import { composite } from '../graph/composite.js'
import { dimsIn } from '../graph/dims.js'
import { int, ONNX_DOMAIN, type Operator, older, optional, string } from '../graph/operator.js'
import { fixed, ints, normal } from '../graph/sample.js'
import { isKnown, isStatic, unifyDims, unknownShape } from '../graph/shape.js'
import { isFloat } from '../graph/tensor.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { kernelOf, requireBias } from './convSum.js'
import { add, cast, mul } from './elementwise.js'
import { Gather } from './indexing.js'
import { matmul } from './matmul.js'
import { indices } from './reference.js'
import { coordinateOf, placeOf, sampled, sizeAlong, unflattened } from './sampling.js'
import { reshape, reshapeTo, transpose } from './shape.js'
import { areaOf, checkWindow, requireSizes, usualWindow, windowCounts } from './window.js'

const gridAttributes = { align_corners: int(0), mode: string('linear'), padding_mode: string('zeros') } as const
const oldNames: Readonly<Record<string, string>> = { bilinear: 'linear', bicubic: 'cubic' }

function checkGrid([x, grid]: readonly Value[], { mode, padding_mode }: { mode: string; padding_mode: string }): void {
  const axes = x!.shape.length - 2
  if (axes < 1 || grid!.shape.length !== axes + 2)
    throw new GraphError('needs an image [N, C, …] and a grid [N, …, axes]')
  const last = grid!.shape.at(-1)!
  if (unifyDims(last, axes) === undefined) throw new GraphError(`the grid holds ${last} coordinates for ${axes} axes`)
  if (unifyDims(x!.shape[0]!, grid!.shape[0]!) === undefined) throw new GraphError('image and grid need one batch')
  if (!['linear', 'nearest', 'cubic'].includes(mode))
    throw new GraphError(`mode '${mode}' is not one of linear, nearest, cubic`)
  if (!['zeros', 'border', 'reflection'].includes(padding_mode))
    throw new GraphError(`padding_mode '${padding_mode}' is not one of zeros, border, reflection`)
}

/**
 * x at the coordinates of a grid, [x, y] or [x, y, z] from −1 to 1: between its places by linear or cubic interpolation. At a
 * whole place the gradient by the coordinate is that to its right, beyond the border 0, as PyTorch has it.
 */
export const GridSample: Operator<typeof gridAttributes> = composite({
  name: 'GridSample',
  domain: ONNX_DOMAIN,
  since: 20,
  before: {
    instead([x, grid], attributes): readonly Value[] {
      const { mode } = attributes
      if (x!.shape.length !== 4) return GridSample.body!([x!, grid!], attributes)
      const former = Object.keys(oldNames).find((name) => oldNames[name] === mode) ?? mode
      return [apply1(gridSample16, [x, grid], { ...attributes, mode: former })]
    },
  },
  older: [
    older({
      until: 19,
      attributes: { ...gridAttributes, mode: string('bilinear') },
      read: ([x, grid], { mode, ...rest }) => [
        apply1(GridSample, [x, grid], { ...rest, mode: oldNames[mode] ?? mode }),
      ],
    }),
  ],
  attributes: gridAttributes,
  arity: [2, 2],
  check: checkGrid,
  body([x, grid], attributes) {
    const axes = x!.shape.length - 2
    const image = isFloat(x!.dtype) ? x! : cast(x!, 'float32')
    const own = cast(grid!, image.dtype)
    const coordinates = Array.from({ length: axes }, (_, axis) =>
      placeOf(coordinateOf(own, axes - 1 - axis), sizeAlong(image, axis + 2, image.dtype), attributes.align_corners),
    )
    const y = sampled(image, coordinates, attributes)
    const shaped = unflattened(y, [x!.shape[0]!, x!.shape[1]!], grid!.shape.slice(1, -1), x!, grid!)
    return [isFloat(x!.dtype) ? shaped : cast(shaped, x!.dtype)]
  },
  samples: [
    gridOf({ mode: 'linear' }),
    gridOf({ mode: 'linear', padding_mode: 'border' }),
    gridOf({ mode: 'linear', padding_mode: 'reflection', align_corners: 1 }),
    gridOf({ mode: 'nearest', padding_mode: 'reflection' }),
    gridOf({ mode: 'cubic' }),
    gridOf({ mode: 'cubic', padding_mode: 'border', align_corners: 1 }),
    gridOf({ mode: 'cubic', padding_mode: 'reflection' }),
    {
      inputs: [normal(1, 2, 2, 3, 2), fixed('float32', [1, 1, 1, 2, 3], [-0.35, 0.7, 0.1, 0.9, -1.3, 0.33])],
      attributes: { align_corners: 1 },
    },
  ],
})
function gridOf(attributes: { mode: string; padding_mode?: string; align_corners?: number }) {
  const places = [-0.93, -0.57, 0.21, 0.83, 1.37, -1.61, 0.03, 0.44, -0.31, 1.13, 0.66, -0.12]
  return { inputs: [normal(1, 2, 3, 4), fixed('float32', [1, 2, 3, 2], places)], attributes }
}

/** What versions 16 to 19 have under the name: on two axes, with other names of the modes. */
const gridSample16: Operator<typeof gridAttributes> = {
  ...GridSample,
  since: 16,
  before: { instead: (inputs, attributes) => gridSample16.body!(inputs as readonly Value[], attributes) },
  older: [],
  body: (inputs, { mode, ...rest }) => GridSample.body!(inputs, { ...rest, mode: oldNames[mode] ?? mode }),
  infer: (inputs, { mode, ...rest }) => GridSample.infer(inputs, { ...rest, mode: oldNames[mode] ?? mode }),
  evaluate: (inputs, { mode, ...rest }) => GridSample.evaluate(inputs, { ...rest, mode: oldNames[mode] ?? mode }),
}

/** The centres of an image of this size from −1 to 1, or what the edges are −1 and 1 of: [places, x, y(, z), 1]. */
function baseGrid(spatial: readonly number[], align: number, dtype: Value['dtype']): Value {
  const at = (index: number, size: number) =>
    align ? (size === 1 ? 0 : -1 + (2 * index) / (size - 1)) : (2 * index + 1) / size - 1
  const rows = Array.from(indices(spatial), (place) => [
    ...place.map((index, axis) => at(index, spatial[axis]!)).reverse(),
    1,
  ])
  return constant(dtype, rows.flat(), [rows.length, spatial.length + 1])
}

const affineAttributes = { align_corners: int(0) } as const
const affineGrid = composite({
  name: 'AffineGrid',
  domain: ONNX_DOMAIN,
  since: 20,
  attributes: affineAttributes,
  arity: [2, 2],
  body([theta, size], { align_corners }) {
    const spatial = dimsIn(size)?.slice(2)
    if (!spatial || !isStatic(spatial)) throw new GraphError('needs a size that is known before anything runs')
    const points = matmul(baseGrid(spatial, align_corners, theta!.dtype), transpose(theta!, [0, 2, 1]))
    return [reshapeTo(points, [theta!.shape[0]!, ...spatial, spatial.length], theta!)]
  },
  samples: [
    { inputs: [normal(2, 2, 3), ints(2, 1, 2, 3)] },
    { inputs: [normal(1, 3, 4), ints(1, 1, 2, 2, 3)], attributes: { align_corners: 1 } },
  ],
})
/** The grid of an affine map theta [N, 2, 3] or [N, 3, 4], for GridSample: where each place of the result comes from. */
export const AffineGrid: Operator<typeof affineAttributes> = {
  ...affineGrid,
  infer([theta, size], attributes) {
    const axes = theta!.shape[1]!
    if (theta!.shape.length !== 3 || !isKnown(axes)) throw new GraphError('needs maps [N, 2, 3] or [N, 3, 4]')
    const spatial = dimsIn(size)?.slice(2)
    if (spatial && spatial.length !== axes)
      throw new GraphError(`the size has ${spatial.length} spatial axes, theta ${axes}`)
    if (spatial && isStatic(spatial)) return affineGrid.infer([theta!, size!], attributes)
    return [{ dtype: theta!.dtype, shape: [theta!.shape[0]!, ...(spatial ?? unknownShape(axes)), axes] }]
  },
}

const deformAttributes = {
  dilations: optional('ints'),
  group: int(1),
  kernel_shape: optional('ints'),
  offset_group: int(1),
  pads: optional('ints'),
  strides: optional('ints'),
} as const

/** Where each tap of each window stands without offsets, along one axis: [1, taps, places]. */
function tapPlaces(
  axis: number,
  kernel: readonly number[],
  counts: readonly number[],
  window: ReturnType<typeof usualWindow>,
): readonly number[] {
  const { strides, pads, dilations } = window
  const places = Array.from(indices(counts), (place) => place[axis]!)
  return Array.from(indices(kernel), (tap) => tap[axis]! * dilations[axis]! - pads[axis]!).flatMap((start) =>
    places.map((place) => start + place * strides[axis]!),
  )
}

/**
 * A convolution whose taps are moved by offsets, [N, offset groups · taps · axes, …], each weighted by a mask (Dai et al. 2017,
 * Zhu et al. 2019). Between places x is interpolated linearly; beyond its edges are zeros.
 */
export const DeformConv = composite({
  name: 'DeformConv',
  domain: ONNX_DOMAIN,
  since: 19,
  attributes: deformAttributes,
  arity: [3, 5],
  body([x, w, offset, bias, mask], { group, offset_group, kernel_shape, ...given }) {
    const spatial = requireSizes(x!.shape.slice(2))
    const kernel = kernelOf(w!.shape, kernel_shape)
    const axes = spatial.length
    const window = usualWindow(axes, given)
    checkWindow(window, axes)
    const [batch, channels] = x!.shape
    const outputs = w!.shape[0]
    if (!isKnown(channels!) || !isKnown(outputs!)) throw new GraphError('needs known numbers of channels')
    if (channels % group !== 0 || channels % offset_group !== 0 || outputs % group !== 0)
      throw new GraphError(
        `${channels} channels, ${outputs} outputs: no multiples of the groups ${group} and ${offset_group}`,
      )
    requireBias(bias, outputs)
    const counts = windowCounts(spatial, kernel, window) as readonly number[]
    const [taps, places] = [areaOf(kernel), areaOf(counts)]
    // Offset groups are so many more images.
    const image = reshape(x!, [-1, channels / offset_group, ...spatial])
    const moves = reshape(offset!, [-1, taps, axes, places])
    const coordinates = spatial.map((_, axis) => {
      const move = reshapeTo(gatherAxis(moves, axis), [moves.shape[0]!, 1, taps * places], moves)
      return add(move, constant(x!.dtype, tapPlaces(axis, kernel, counts, window), [1, 1, taps * places]))
    })
    const values = sampled(image, coordinates, { mode: 'linear', padding_mode: 'zeros', align_corners: 1 })
    const weighted = mask ? mul(values, reshape(mask, [-1, 1, taps * places])) : values
    // [N, groups, C/groups · taps, places] by [groups, O/groups, C/groups · taps]
    const columns = reshape(weighted, [-1, group, (channels / group) * taps, places])
    const y = matmul(reshape(w!, [group, outputs / group, -1]), columns)
    const shaped = reshapeTo(y, [batch!, outputs, ...counts], x!)
    return [bias ? add(shaped, reshape(bias, [1, -1, ...spatial.map(() => 1)])) : shaped]
  },
  samples: [
    { inputs: [normal(1, 2, 4, 4), normal(3, 2, 2, 2), offsets(1, 8, 3, 3), normal(3)] },
    {
      inputs: [normal(1, 4, 4, 3), normal(2, 2, 2, 2), offsets(1, 16, 2, 4), undefined, normal(1, 8, 2, 4)],
      attributes: { group: 2, offset_group: 2, strides: [2, 1], pads: [0, 1, 0, 1] },
    },
  ],
})
function gatherAxis(moves: Value, axis: number): Value {
  return apply1(Gather, [moves, constant('int64', axis)], { axis: 2 })
}
/** Offsets that put no tap on a whole place, where the gradient jumps. */
function offsets(...shape: number[]) {
  const count = shape.reduce((product, dim) => product * dim, 1)
  return fixed(
    'float32',
    shape,
    Array.from({ length: count }, (_, i) => ((i * 37) % 90) / 100 - 0.435),
  )
}
