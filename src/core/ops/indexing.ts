// Operators that pick or place elements by index: Gather, GatherElements, ScatterElements, OneHot.

import { int, ONNX_DOMAIN, operator, string } from '../graph/operator.js'
import { booleans, fixed, normal } from '../graph/sample.js'
import { isKnown, type Shape, sameShape, sizeOf, unknownDim } from '../graph/shape.js'
import { type DType, isFloat, type Numbers, numbers } from '../graph/tensor.js'
import { apply1, constant, constantOf, GraphError, type Value } from '../graph/value.js'
import { add } from './elementwise.js'
import { loop } from './loop.js'
import { indices as multiIndices, positionOf, select } from './reference.js'
import { expandAs, fillAs, requireAxes, reshapeTo, shapeOf, unsqueeze } from './shape.js'

function requireIndices(indices: Value): void {
  if (indices.dtype !== 'int64' && indices.dtype !== 'int32') {
    throw new GraphError(`indices must be int64 or int32, got ${indices.dtype}`)
  }
}

/** An index along an axis of the given length; negative ones count from the back. */
function indexAt(index: number, length: number): number {
  const place = index < 0 ? index + length : index
  if (place < 0 || place >= length) throw new GraphError(`index ${index} is out of range for an axis of ${length}`)
  return place
}

const gatheredShape = (x: Shape, indices: Shape, axis: number): Shape => [
  ...x.slice(0, axis),
  ...indices,
  ...x.slice(axis + 1),
]

/** Slices of x along an axis: y[…, i, …] = x[…, indices[i], …]. */
export const Gather = operator({
  name: 'Gather',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: { axis: int(0) },
  arity: [2, 2],
  infer([x, indices], { axis }) {
    requireIndices(indices!)
    const [along] = requireAxes([axis], x!.shape.length)
    return [{ dtype: x!.dtype, shape: gatheredShape(x!.shape, indices!.shape, along!) }]
  },
  dims([x, indices], _, known) {
    const [from, places] = [known(x), known(indices)]
    if (!from || x!.shape.length !== 1 || !places?.every(isKnown)) return [undefined]
    return [places.map((place) => from[indexAt(place, from.length)]!)]
  },
  gradient: {
    // Each slice of the gradient is added back where its index says.
    rule({ grad, inputs: [x, indices], attributes: { axis } }) {
      const [along] = requireAxes([axis], x!.shape.length)
      const count = sizeOf(indices!.shape)
      const slices = reshapeTo(grad, gatheredShape(x!.shape, [count], along!))
      const column = reshapeTo(
        indices!,
        x!.shape.map((_, i) => (i === along ? count : 1)),
      )
      return [scatterAdd(fillAs(0, x!), expandAs(column, slices), slices, along!), undefined]
    },
  },
  evaluate([x, indices], { axis }) {
    const [along] = requireAxes([axis], x!.shape.length)
    const rank = indices!.shape.length
    return [
      select(x!, gatheredShape(x!.shape, indices!.shape, along!) as readonly number[], (index) => [
        ...index.slice(0, along!),
        indexAt(indices!.data[positionOf(index.slice(along!, along! + rank), indices!.shape)]!, x!.shape[along!]!),
        ...index.slice(along! + rank),
      ]),
    ]
  },
  samples: [
    { inputs: [normal(4, 3), fixed('int64', [2, 2], [3, 0, 3, -2])] },
    { inputs: [normal(2, 3), fixed('int64', [], [1])], attributes: { axis: 1 } },
  ],
})
export const gather = (x: Value, indices: Value, axis = 0): Value => apply1(Gather, [x, indices], { axis })

/** The places of what is not zero (bool: of what is true), a column each, in row-major order: int64 [rank, how many]. */
export const NonZero = operator({
  name: 'NonZero',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: {},
  arity: [1, 1],
  infer: ([x]) => [{ dtype: 'int64', shape: [x!.shape.length, unknownDim()] }],
  gradient: 'zero',
  evaluate([x]) {
    const places = Array.from(multiIndices(x!.shape), (index) => [...index]).filter((_, i) => x!.data[i] !== 0)
    const rows = x!.shape.map((_, axis) => places.map((place) => place[axis]!))
    return [numbers('int64', [x!.shape.length, places.length], rows.flat())]
  },
  samples: [{ inputs: [fixed('float32', [2, 3], [0, 1, -2, 0, 0, 3])] }, { inputs: [booleans(4)] }],
})
export const nonZero = (x: Value): Value => apply1(NonZero, [x])

/** y[i, j] = x[i, indices[i, j]] for axis 1, and likewise along any axis. */
export const GatherElements = operator({
  name: 'GatherElements',
  domain: ONNX_DOMAIN,
  since: 13,
  attributes: { axis: int(0) },
  arity: [2, 2],
  infer([x, indices], { axis }) {
    requireIndices(indices!)
    requireAxes([axis], x!.shape.length)
    if (indices!.shape.length !== x!.shape.length) throw new GraphError('indices need as many dimensions as the data')
    return [{ dtype: x!.dtype, shape: indices!.shape }]
  },
  gradient: {
    rule: ({ grad, inputs: [x, indices], attributes: { axis } }) => [
      scatterAdd(fillAs(0, x!), indices!, grad, axis),
      undefined,
    ],
  },
  evaluate([x, indices], { axis }) {
    const [along] = requireAxes([axis], x!.shape.length)
    let i = 0
    return [
      select(x!, indices!.shape, (index) => {
        const picked = indexAt(indices!.data[i++]!, x!.shape[along!]!)
        return index.map((place, k) => (k === along ? picked : place))
      }),
    ]
  },
  samples: [
    { inputs: [normal(3, 4), fixed('int64', [3, 2], [3, 0, 1, 1, -1, 2])], attributes: { axis: 1 } },
    { inputs: [normal(2, 3), fixed('int64', [1, 3], [1, 0, 1])] },
  ],
})
export const gatherElements = (x: Value, indices: Value, axis: number): Value =>
  apply1(GatherElements, [x, indices], { axis })

function scatter(x: Numbers, indices: Numbers, updates: Numbers, axis: number, adding: boolean): Numbers {
  const data = Float64Array.from(x.data)
  let i = 0
  for (const index of multiIndices(indices.shape)) {
    const place = index.map((at, k) => (k === axis ? indexAt(indices.data[i]!, x.shape[axis]!) : at))
    const position = positionOf(place, x.shape)
    data[position] = updates.data[i++]! + (adding ? data[position]! : 0)
  }
  return numbers(x.dtype, x.shape, data)
}

/**
 * x with updates at the indexed places: added (reduction = add, the one that gradients need), or in the place of what was
 * there (none), which asks for distinct places.
 */
export const ScatterElements = operator({
  name: 'ScatterElements',
  domain: ONNX_DOMAIN,
  since: 16,
  before: {
    lacks: ['reduction'],
    instead([x, indices, updates], { axis, reduction }) {
      return reduction === 'add' ? [addBySlices(x!, indices!, updates!, axis)] : undefined
    },
  },
  attributes: { axis: int(0), reduction: string('none') },
  arity: [3, 3],
  infer([x, indices, updates], { axis, reduction }) {
    requireIndices(indices!)
    requireAxes([axis], x!.shape.length)
    if (reduction !== 'add' && reduction !== 'none')
      throw new GraphError(`reduction '${reduction}' is not supported; use 'add' or 'none'`)
    if (!sameShape(indices!.shape, updates!.shape)) throw new GraphError('indices and updates need the same shape')
    return [x!]
  },
  gradient: {
    rule: ({ grad, inputs: [, indices, updates], attributes: { axis, reduction } }) => [
      reduction === 'add' ? grad : scatterInto(grad, indices!, fillAs(0, updates!), axis),
      undefined,
      gatherElements(grad, indices!, axis),
    ],
  },
  evaluate: ([x, indices, updates], { axis, reduction }) => [
    scatter(x!, indices!, updates!, requireAxes([axis], x!.shape.length)[0]!, reduction === 'add'),
  ],
  samples: [
    {
      inputs: [normal(3, 3), fixed('int64', [2, 3], [0, 1, 2, 0, 2, 2]), normal(2, 3)],
      attributes: { reduction: 'add' },
    },
    {
      inputs: [normal(2, 4), fixed('int64', [2, 2], [3, 3, 0, -1]), normal(2, 2)],
      attributes: { axis: 1, reduction: 'add' },
    },
    {
      inputs: [normal(2, 4), fixed('int64', [2, 2], [3, 1, 0, -1]), normal(2, 2)],
      attributes: { axis: 1 },
    },
  ],
})
const scatterInto = (x: Value, indices: Value, updates: Value, axis: number): Value =>
  apply1(ScatterElements, [x, indices, updates], { axis })
export const scatterAdd = (x: Value, indices: Value, updates: Value, axis: number): Value =>
  apply1(ScatterElements, [x, indices, updates], { axis, reduction: 'add' })

/** The sum without `add`: one slice of the updates after another, in each of which no place comes twice. */
function addBySlices(x: Value, indices: Value, updates: Value, axis: number): Value {
  const [along] = requireAxes([axis], x.shape.length)
  const length = indices.shape[along!]!
  const count = isKnown(length) ? constant('int64', length) : gather(shapeOf(indices), constant('int64', along!))
  const { carried } = loop(count, { sum: x }, (i, { sum }) => {
    const [places, added] = [indices, updates].map((value) => gather(value, unsqueeze(i, 0), along!))
    const next = add(gatherElements(sum, places!, along!), added!)
    return { carried: { sum: scatterInto(sum, places!, next, along!) }, stacked: {} }
  })
  return carried.sum
}

/** values[1] where the new last axis equals the index, values[0] elsewhere; negative indices count from the back. */
export const OneHot = operator({
  name: 'OneHot',
  domain: ONNX_DOMAIN,
  since: 11,
  attributes: { axis: int(-1) },
  arity: [3, 3],
  infer([indices, depth, values], { axis }) {
    requireIndices(indices!)
    if (axis !== -1) throw new GraphError('only axis=-1 is supported')
    const known = constantOf(depth!)
    if (isFloat(depth!.dtype) || (known && known.length !== 1)) throw new GraphError('depth must be one whole number')
    return [{ dtype: values!.dtype, shape: [...indices!.shape, known?.[0] ?? 'depth'] }]
  },
  gradient: 'zero',
  evaluate([indices, depth, values]) {
    const count = depth!.data[0]!
    const data = new Float64Array(indices!.data.length * count).fill(values!.data[0]!)
    indices!.data.forEach((index, i) => {
      const place = index < 0 ? index + count : index
      if (place >= 0 && place < count) data[i * count + place] = values!.data[1]!
    })
    return [numbers(values!.dtype, [...indices!.shape, count], data)]
  },
  samples: [{ inputs: [fixed('int64', [4], [0, 2, -1, 1]), fixed('int64', [], [3]), fixed('float32', [2], [0, 1])] }],
})
export const oneHot = (indices: Value, depth: Value, dtype: DType = 'float32'): Value =>
  apply1(OneHot, [indices, depth, constant(dtype, [0, 1])])
