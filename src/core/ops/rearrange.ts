// Operators that move places between axes, or cut and frame around the middle: DepthToSpace, SpaceToDepth, CenterCropPad.

import { composite } from '../graph/composite.js'
import { dimsIn } from '../graph/dims.js'
import { ONNX_DOMAIN, type Operator, operator, optional, required, string } from '../graph/operator.js'
import { fixed, ints, normal } from '../graph/sample.js'
import { type Dim, divideDim, isKnown, isStatic, type Shape, unknownDim } from '../graph/shape.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { CumSum } from './cumulative.js'
import { and, cast, div, greaterOrEqual, less, mul, sub, where } from './elementwise.js'
import { gather } from './indexing.js'
import { select } from './reference.js'
import { Expand, int64, Reshape, requireAxes, reshape, Shape_, shapeOf, transpose } from './shape.js'
import { concat, pad, slice } from './slice.js'

/** [N, C, H, W] with its channels and the sizes of its blocks. */
function blocksOf({ shape }: Value, blocksize: number): void {
  if (shape.length !== 4) throw new GraphError('needs a four-dimensional input [N, C, H, W]')
  if (!(Number.isInteger(blocksize) && blocksize >= 1)) throw new GraphError('blocksize must be a whole number from 1')
}

function exactly(dim: Dim, by: number, what: string): Dim {
  const part = divideDim(dim, by)
  if (part === undefined && isKnown(dim)) throw new GraphError(`${what} of ${dim} is no multiple of ${by}`)
  return part ?? unknownDim()
}

/** A reshape to N, then the numbers given, where H and W of x stand, times or by a number, at two places. */
function reshapeAround(
  value: Value,
  x: Value,
  shape: readonly (number | 'H' | 'W')[],
  scale: (sizes: Value) => Value,
): Value {
  const sizes = scale(apply1(Shape_, [x], { start: 2 }))
  const known = dimsIn(sizes)
  if (known?.every(isKnown)) {
    const [h, w] = known as readonly number[]
    return reshape(value, [
      isKnown(x.shape[0]!) ? x.shape[0] : -1,
      ...shape.map((dim) => (dim === 'H' ? h! : dim === 'W' ? w! : dim)),
    ])
  }
  const part = (at: number) => gather(sizes, int64([at]))
  const parts = shape.map((dim) => (dim === 'H' ? part(0) : dim === 'W' ? part(1) : int64([dim])))
  return apply1(Reshape, [value, concat([apply1(Shape_, [x], { start: 0, end: 1 }), ...parts], 0)])
}

const same = (sizes: Value): Value => sizes

function requireMode(mode: string): void {
  if (mode !== 'DCR' && mode !== 'CRD') throw new GraphError(`mode '${mode}' is not one of DCR, CRD`)
}

/** Channels become blocks of blocksize × blocksize places; with DCR the place in the block is the slower part of a channel. */
export const DepthToSpace = composite({
  name: 'DepthToSpace',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: { blocksize: required('int'), mode: string('DCR') },
  arity: [1, 1],
  check([x], { blocksize, mode }) {
    requireMode(mode)
    blocksOf(x!, blocksize)
  },
  body([x], { blocksize: b, mode }) {
    const channels = exactly(x!.shape[1]!, b * b, 'the number of channels')
    const c = isKnown(channels) ? channels : -1
    const apart = reshapeAround(x!, x!, mode === 'DCR' ? [b, b, c, 'H', 'W'] : [c, b, b, 'H', 'W'], same)
    const mixed = transpose(apart, mode === 'DCR' ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3])
    return [reshapeAround(mixed, x!, [c, 'H', 'W'], (sizes) => mul(sizes, b))]
  },
  samples: [
    { inputs: [normal(2, 8, 2, 3)], attributes: { blocksize: 2 } },
    { inputs: [normal(1, 9, 1, 2)], attributes: { blocksize: 3, mode: 'CRD' } },
  ],
})

/** Blocks of blocksize × blocksize places become channels: the inverse of DepthToSpace. */
export const SpaceToDepth = composite({
  name: 'SpaceToDepth',
  domain: ONNX_DOMAIN,
  since: 28,
  before: {
    lacks: ['mode'],
    instead([x], { blocksize, mode }) {
      return mode === 'DCR' ? undefined : [channelsOfBlocks(x!, blocksize, mode)]
    },
  },
  attributes: { blocksize: required('int'), mode: string('DCR') },
  arity: [1, 1],
  check([x], { blocksize, mode }) {
    requireMode(mode)
    blocksOf(x!, blocksize)
  },
  body: ([x], { blocksize, mode }) => [channelsOfBlocks(x!, blocksize, mode)],
  samples: [{ inputs: [normal(2, 3, 4, 6)], attributes: { blocksize: 2 } }],
})
function channelsOfBlocks(x: Value, b: number, mode: string): Value {
  for (const size of x.shape.slice(2)) exactly(size, b, 'a side')
  const c = isKnown(x.shape[1]!) ? x.shape[1] : -1
  const fewer = (sizes: Value) => div(sizes, b)
  const apart = reshapeAround(x, x, [c, 'H', b, 'W', b], fewer)
  const mixed = transpose(apart, mode === 'DCR' ? [0, 3, 5, 1, 2, 4] : [0, 1, 3, 5, 2, 4])
  return reshapeAround(mixed, x, [c < 0 ? c : c * b * b, 'H', 'W'], fewer)
}

const cropAttributes = { axes: optional('ints') } as const
const croppedAxes = (rank: number, axes: readonly number[] | undefined): readonly number[] =>
  requireAxes(axes ?? Array.from({ length: rank }, (_, axis) => axis), rank)

function croppedShape(x: Shape, sizes: Shape | undefined, axes: readonly number[]): Shape {
  if (sizes && sizes.length !== axes.length) throw new GraphError(`needs one size each of ${axes.length} axes`)
  return x.map((dim, axis) => (axes.includes(axis) ? (sizes?.[axes.indexOf(axis)] ?? unknownDim()) : dim))
}

/** How many places go before the first, or are left out there where negative: half of the difference, rounded down. */
const before = (from: number, to: number): number =>
  to > from ? Math.floor((to - from) / 2) : -Math.floor((from - to) / 2)

/** 0, 1, 2 … to before a length that only the run knows: int64. */
export const countUp = (length: Value): Value =>
  apply1(CumSum, [apply1(Expand, [constant('int64', 1), reshape(cast(length, 'int64'), [1])]), constant('int64', 0)], {
    exclusive: 1,
  })

/** The same by places that are computed, axis by axis. */
function placed(x: Value, sizes: Value, axes: readonly number[]): Value {
  let result = x
  axes.forEach((axis, i) => {
    const from = gather(shapeOf(x), constant('int64', axis))
    const to = cast(gather(sizes, constant('int64', i)), 'int64')
    // Both halves round down, as whole numbers divide.
    const start = div(sub(to, from), constant('int64', 2))
    const at = sub(countUp(to), start)
    const there = and(greaterOrEqual(at, 0), less(at, from))
    const gathered = gather(result, where(there, at, 0), axis)
    const column = result.shape.map((_, other) => (other === axis ? -1 : 1))
    result = where(reshape(there, column), gathered, 0)
  })
  return result
}

/** x cut, or framed with zeros, around its middle. Its adjoint does the other of the two with the same places. */
export const CenterCropPad: Operator<typeof cropAttributes> = operator({
  name: 'CenterCropPad',
  domain: ONNX_DOMAIN,
  since: 18,
  before: {
    instead([x, sizes], attributes) {
      const axes = croppedAxes(x!.shape.length, attributes.axes)
      const [from, to] = [axes.map((axis) => x!.shape[axis]!) as Shape, dimsIn(sizes)]
      if (!to || !isStatic(to) || !isStatic(from)) return [placed(x!, sizes!, axes)]
      const starts = from.map((size, i) => before(size, to[i]!))
      const cut = slice(
        x!,
        axes,
        starts.map((start) => Math.max(0, -start)),
        starts.map((start, i) => Math.max(0, -start) + Math.min(from[i]!, to[i]!)),
      )
      const frames = starts.map((start, i) => [
        Math.max(0, start),
        to[i]! - Math.min(from[i]!, to[i]!) - Math.max(0, start),
      ])
      return [
        pad(
          cut,
          axes,
          frames.map(([first]) => first!),
          frames.map(([, last]) => last!),
        ),
      ]
    },
  },
  attributes: cropAttributes,
  arity: [2, 2],
  infer([x, sizes], { axes }) {
    return [{ dtype: x!.dtype, shape: croppedShape(x!.shape, dimsIn(sizes), croppedAxes(x!.shape.length, axes)) }]
  },
  gradient: {
    rule({ grad, inputs: [x], attributes: { axes } }) {
      const own = gather(shapeOf(x!), constant('int64', croppedAxes(x!.shape.length, axes)))
      return [apply1(CenterCropPad, [grad, own], { axes }), undefined]
    },
  },
  evaluate([x, sizes], attributes) {
    const axes = croppedAxes(x!.shape.length, attributes.axes)
    const shape = croppedShape(x!.shape, [...sizes!.data], axes) as readonly number[]
    const starts = x!.shape.map((size, axis) => before(size, shape[axis]!))
    return [
      select(x!, shape, (index) => {
        const from = index.map((at, axis) => at - starts[axis]!)
        return from.every((at, axis) => at >= 0 && at < x!.shape[axis]!) ? from : undefined
      }),
    ]
  },
  samples: [
    { inputs: [normal(5, 4, 3), ints(2, 7, 4)] },
    { inputs: [normal(2, 6, 3), ints(3, 6)], attributes: { axes: [1, -1] } },
    { inputs: [normal(4, 5), fixed('int64', [2], [7, 2])] },
  ],
})
