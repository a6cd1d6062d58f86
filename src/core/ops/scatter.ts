// Operators that place elements by index: ScatterElements, ScatterND, and what is made of them.

import { composite } from '../graph/composite.js'
import { int, ONNX_DOMAIN, type Operator, operator, string } from '../graph/operator.js'
import { awayFromZero, distinct, fixed, normal, type SampleInput } from '../graph/sample.js'
import { isKnown, isStatic, stridesOf, unifyDims, unifyShapes } from '../graph/shape.js'
import { numbers } from '../graph/tensor.js'
import { apply1, constant, GraphError, type Value } from '../graph/value.js'
import { add, cast, div, equal, less, max, min, mul, sub, where } from './elementwise.js'
import { placesAlong } from './generate.js'
import { GatherND, gather, gatherElements, indexAt, requireIndices, tupleLength } from './indexing.js'
import { loop } from './loop.js'
import { indices as multiIndices, positionOf } from './reference.js'
import { expandAs, fillAs, int64, Reshape, requireAxes, reshape, Shape_, shapeOf, unsqueeze } from './shape.js'
import { concat } from './slice.js'

const reductions: Readonly<Record<string, (old: number, update: number) => number>> = {
  none: (_, update) => update,
  add: (old, update) => old + update,
  mul: (old, update) => old * update,
  max: Math.max,
  min: Math.min,
}

function requireReduction(reduction: string): void {
  if (!Object.hasOwn(reductions, reduction))
    throw new GraphError(`reduction '${reduction}' is not supported; use one of ${Object.keys(reductions).join(', ')}`)
}

/** A scatter and its adjoint at the same places. */
interface Places {
  scatter(x: Value, updates: Value, reduction: string): Value
  gather(x: Value): Value
}

const mask = (condition: Value, like: Value) => cast(condition, like.dtype)

/**
 * Gradients of x and of the updates. A maximum or minimum shares its gradient evenly among those that attain it (PyTorch's
 * scatter_reduce). In a product each factor gets the product of the others, which a factor of zero does not spoil.
 */
function scatterGradients(grad: Value, [x, updates, y]: readonly [Value, Value, Value], reduction: string, at: Places) {
  switch (reduction) {
    case 'none':
      return [at.scatter(grad, fillAs(0, updates), 'none'), at.gather(grad)] as const
    case 'add':
      return [grad, at.gather(grad)] as const
    case 'mul': {
      const factor = (value: Value) => where(equal(value, 0), 1, value)
      const zeros = at.scatter(mask(equal(x, 0), x), mask(equal(updates, 0), updates), 'add')
      const product = at.scatter(factor(x), factor(updates), 'mul')
      // Without zeros product/value; of one zero, the others' product is its own.
      const alone = mul(grad, mul(product, mask(less(zeros, 1.5), grad)))
      const none = mul(grad, mul(product, mask(equal(zeros, 0), grad)))
      const back = (value: Value, whole: Value, withZero: Value) =>
        where(equal(value, 0), withZero, div(whole, factor(value)))
      return [back(x, none, alone), back(updates, at.gather(none), at.gather(alone))] as const
    }
    default: {
      const [own, theirs] = [mask(equal(x, y), x), mask(equal(updates, at.gather(y)), updates)]
      const shared = div(grad, at.scatter(own, theirs, 'add'))
      return [mul(shared, own), mul(at.gather(shared), theirs)] as const
    }
  }
}

const attributes = { axis: int(0), reduction: string('none') }

/** x with updates at the indexed places of an axis: in the place of what was there (none), or added, multiplied, … to it. */
export const ScatterElements: Operator<typeof attributes> = operator({
  name: 'ScatterElements',
  domain: ONNX_DOMAIN,
  since: 16,
  before: {
    lacks: ['reduction'],
    instead([x, indices, updates], { axis, reduction }) {
      if (reduction === 'none') return undefined
      return [bySlices(x!, indices!, updates!, axis, reduction)]
    },
  },
  attributes,
  arity: [3, 3],
  infer([x, indices, updates], { axis, reduction }) {
    requireIndices(indices!)
    requireAxes([axis], x!.shape.length)
    requireReduction(reduction)
    if (!unifyShapes(indices!.shape, updates!.shape)) throw new GraphError('indices and updates need the same shape')
    if (updates!.dtype !== x!.dtype) throw new GraphError('the updates need the dtype of x')
    if (indices!.shape.length !== x!.shape.length) throw new GraphError('indices need as many dimensions as the data')
    return [x!]
  },
  gradient: {
    rule({ grad, inputs: [x, indices, updates], outputs: [y], attributes: { axis, reduction } }) {
      const [dx, du] = scatterGradients(grad, [x!, updates!, y!], reduction, {
        scatter: (x, updates, reduction) => apply1(ScatterElements, [x, indices, updates], { axis, reduction }),
        gather: (x) => gatherElements(x, indices!, axis),
      })
      return [dx, undefined, du]
    },
  },
  evaluate([x, indices, updates], { axis, reduction }) {
    const [along] = requireAxes([axis], x!.shape.length)
    const data = Float64Array.from(x!.data)
    let i = 0
    for (const index of multiIndices(indices!.shape)) {
      const place = index.map((at, k) => (k === along ? indexAt(indices!.data[i]!, x!.shape[along]!) : at))
      const position = positionOf(place, x!.shape)
      data[position] = reductions[reduction]!(data[position]!, updates!.data[i++]!)
    }
    return [numbers(x!.dtype, x!.shape, data)]
  },
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
    ...reduced((x) => [x(3, 3), fixed('int64', [2, 3], [0, 1, 2, 0, 2, 2]), x(2, 3)]),
  ],
})

/** One sample for each of the other reductions. The updates of a maximum differ from the data. */
function reduced(inputs: (x: (...shape: number[]) => SampleInput) => readonly SampleInput[]) {
  return ['mul', 'max', 'min'].map((reduction) => ({
    inputs: inputs(reduction === 'mul' ? awayFromZero : apart()),
    attributes: { reduction },
  }))
}
/** Distinct values, those of a second tensor between those of the first. */
function apart() {
  let shift = 0
  return (...shape: number[]): SampleInput => {
    const sample = distinct(...shape)
    const offset = 0.02 * shift++
    const draw: SampleInput['draw'] = (random) => {
      const { dtype, shape, data } = sample.draw(random)
      return numbers(
        dtype,
        shape,
        data.map((value) => value + offset),
      )
    }
    return { ...sample, draw }
  }
}

export const scatterInto = (x: Value, indices: Value, updates: Value, axis: number): Value =>
  apply1(ScatterElements, [x, indices, updates], { axis })
/** x with updates[i, j] added at [i, indices[i, j]] for axis 1, and likewise along any axis. */
export const scatterAdd = (x: Value, indices: Value, updates: Value, axis: number): Value =>
  apply1(ScatterElements, [x, indices, updates], { axis, reduction: 'add' })

/** A reduction in the graph. */
const folds: Readonly<Record<string, (old: Value, update: Value) => Value>> = { add, mul, max, min }

/** Without reductions: one slice of the updates after another, in each of which no place comes twice. */
function bySlices(x: Value, indices: Value, updates: Value, axis: number, reduction: string): Value {
  const [along] = requireAxes([axis], x.shape.length)
  const { carried } = loop(lengthOf(indices, along!), { folded: x }, (i, { folded }) => {
    const [places, added] = [indices, updates].map((value) => gather(value, unsqueeze(i, 0), along!))
    const next = folds[reduction]!(gatherElements(folded, places!, along!), added!)
    return { carried: { folded: scatterInto(folded, places!, next, along!) }, stacked: {} }
  })
  return carried.folded
}

const lengthOf = (x: Value, axis: number): Value => {
  const dim = x.shape[axis]!
  return isKnown(dim) ? constant('int64', dim) : gather(shapeOf(x), constant('int64', axis))
}

const ndAttributes = { reduction: string('none') }

/** x with slices at the places that index tuples name: in the place of what was there (none), or added, … to it. */
export const ScatterND: Operator<typeof ndAttributes> = operator({
  name: 'ScatterND',
  domain: ONNX_DOMAIN,
  since: 16,
  before: {
    lacks: ['reduction'],
    instead([x, indices, updates], { reduction }) {
      if (reduction === 'none') return undefined
      return [byRows(x!, indices!, updates!, reduction)]
    },
  },
  attributes: ndAttributes,
  arity: [3, 3],
  infer([x, indices, updates], { reduction }) {
    if (indices!.dtype !== 'int64') throw new GraphError(`indices must be int64, got ${indices!.dtype}`)
    requireReduction(reduction)
    const length = tupleLength(indices!)
    if (length > x!.shape.length)
      throw new GraphError(`index tuples of ${length} do not fit ${x!.shape.length} dimensions`)
    const slices = [...indices!.shape.slice(0, -1), ...x!.shape.slice(length)]
    if (updates!.dtype !== x!.dtype || !unifyShapes(slices, updates!.shape))
      throw new GraphError(`the updates should be ${x!.dtype}[${slices}]`)
    return [x!]
  },
  gradient: {
    rule({ grad, inputs: [x, indices, updates], outputs: [y], attributes: { reduction } }) {
      const [dx, du] = scatterGradients(grad, [x!, updates!, y!], reduction, {
        scatter: (x, updates, reduction) => apply1(ScatterND, [x, indices, updates], { reduction }),
        gather: (x) => apply1(GatherND, [x, indices]),
      })
      return [dx, undefined, du]
    },
  },
  evaluate([x, indices, updates], { reduction }) {
    const length = indices!.shape.at(-1)!
    const slice = x!.shape.slice(length).reduce((size, dim) => size * dim, 1)
    const strides = stridesOf(x!.shape)
    const data = Float64Array.from(x!.data)
    for (let i = 0; i * slice < updates!.data.length; i++) {
      const tuple = indices!.data.subarray(i * length, (i + 1) * length)
      const start = tuple.reduce((sum, place, axis) => sum + indexAt(place, x!.shape[axis]!) * strides[axis]!, 0)
      for (let k = 0; k < slice; k++)
        data[start + k] = reductions[reduction]!(data[start + k]!, updates!.data[i * slice + k]!)
    }
    return [numbers(x!.dtype, x!.shape, data)]
  },
  samples: [
    { inputs: [normal(4, 3), fixed('int64', [2, 1], [3, -4]), normal(2, 3)] },
    {
      inputs: [normal(4, 3), fixed('int64', [2, 2, 1], [0, 2, 0, -1]), normal(2, 2, 3)],
      attributes: { reduction: 'add' },
    },
    {
      inputs: [normal(4, 3), fixed('int64', [3, 2], [0, 2, 0, -1, 1, 1]), normal(3)],
      attributes: { reduction: 'add' },
    },
    ...reduced((x) => [x(3, 2), fixed('int64', [3, 1], [0, 2, 0]), x(3, 2)]),
  ],
})

/** Without reductions: one slice after another. */
function byRows(x: Value, indices: Value, updates: Value, reduction: string): Value {
  const length = tupleLength(indices)
  const rest = x.shape.slice(length)
  const target = isStatic(rest)
    ? int64([-1, ...rest])
    : concat([int64([-1]), apply1(Shape_, [x], { start: length })], 0)
  const tuples = reshape(indices, [-1, length])
  const slices = apply1(Reshape, [updates, target])
  const { carried } = loop(lengthOf(tuples, 0), { folded: x }, (i, { folded }) => {
    const [tuple, added] = [tuples, slices].map((value) => gather(value, unsqueeze(i, 0)))
    const next = folds[reduction]!(apply1(GatherND, [folded, tuple]), added!)
    return { carried: { folded: apply1(ScatterND, [folded, tuple, next]) }, stacked: {} }
  })
  return carried.folded
}

/** What became ScatterElements. */
export const Scatter = composite({
  name: 'Scatter',
  domain: ONNX_DOMAIN,
  since: 9,
  until: 10,
  attributes: { axis: int(0) },
  arity: [3, 3],
  body: ([x, indices, updates], { axis }) => [scatterInto(x!, indices!, updates!, axis)],
  samples: [{ inputs: [normal(2, 4), fixed('int64', [2, 2], [3, 1, 0, -1]), normal(2, 2)], attributes: { axis: 1 } }],
})

/** A cache with an update written along an axis, each of the batch from a place of its own; circular ones begin again. */
export const TensorScatter = composite({
  name: 'TensorScatter',
  domain: ONNX_DOMAIN,
  since: 24,
  attributes: { axis: int(-2), mode: string('linear') },
  arity: [2, 3],
  check([cache, update, first], { axis, mode }) {
    const rank = cache!.shape.length
    const [along] = requireAxes([axis], rank)
    if (along === 0) throw new GraphError('the first axis is the batch, and nothing is written along it')
    if (mode !== 'linear' && mode !== 'circular') throw new GraphError(`mode '${mode}' must be linear or circular`)
    const fits =
      update!.shape.length === rank &&
      update!.shape.every((dim, i) => i === along || unifyDims(dim, cache!.shape[i]!) !== undefined)
    if (!fits || update!.dtype !== cache!.dtype)
      throw new GraphError(`the update must agree with the cache in dtype and in every dimension but axis ${along}`)
    if (first && first.shape.length !== 1) throw new GraphError('needs one place to write to for each of the batch')
  },
  body([cache, update, first], { axis, mode }) {
    const rank = cache!.shape.length
    const [along] = requireAxes([axis], rank)
    const spread = (places: Value, axis: number) =>
      reshape(
        places,
        cache!.shape.map((_, i) => (i === axis ? -1 : 1)),
      )
    const steps = spread(placesAlong(update!, along!), along!)
    const places = first ? add(steps, spread(first, 0)) : steps
    const length = lengthOf(cache!, along!)
    const within = mode === 'circular' ? sub(places, mul(div(places, length), length)) : places
    return [scatterInto(cache!, expandAs(within, update!), update!, along!)]
  },
  samples: [
    { inputs: [normal(2, 4, 3), normal(2, 2, 3), fixed('int64', [2], [1, 2])] },
    { inputs: [normal(2, 4, 3), normal(2, 2, 3), fixed('int64', [2], [1, 3])], attributes: { mode: 'circular' } },
    { inputs: [normal(2, 3, 4, 2), normal(2, 3, 1, 2)] },
  ],
})
