// The gradient of MaxPool without a scatter that adds; and at level `basic` without the places that MaxPool may give, which small
// runtimes lack.

import { apply1, constant, nodeOf, type Value } from '../../graph/value.js'
import { equal, MaxPool, Pad, poolWindow, scatterApart, slice, type WindowAttributes, where } from '../../ops/index.js'
import { indices } from '../../ops/reference.js'
import type { Expansions } from '../target.js'

/** Around x stands a number that is no maximum, and finite: not every reader of ONNX knows infinity. */
const LOWEST = -3.4028234663852886e38

/**
 * Where in its plane the maximum of each window stands, the first of equals: of the taps of a window, from the last to the first,
 * each that has the maximum says where it is.
 */
function placesOfMaxima(x: Value, y: Value, attributes: WindowAttributes): Value {
  const { kernel_shape = [], strides, pads, dilations } = poolWindow(x.shape, attributes)
  const [sizes, counts] = [x, y].map(({ shape }) => shape.slice(2) as readonly number[]) as [number[], number[]]
  const axes = sizes.map((_, axis) => axis + 2)
  const last = counts.map((count, axis) => (count - 1) * strides[axis]!)
  const after = sizes.map((size, axis) => {
    const end = last[axis]! + (kernel_shape[axis]! - 1) * dilations[axis]! + 1
    return Math.max(0, end - size - pads[axis]!)
  })
  const amounts = constant('int64', [0, 0, ...pads.slice(0, axes.length), 0, 0, ...after])
  const around = apply1(Pad, [x, amounts, constant(x.dtype, LOWEST)])
  return Array.from(indices(kernel_shape), (tap) => [...tap])
    .reverse()
    .reduce(
      (places, tap) => {
        const from = tap.map((at, axis) => at * dilations[axis]!)
        const ends = from.map((start, axis) => start + last[axis]! + 1)
        const standing = Array.from(indices(counts), (window) =>
          window.reduce((place, at, axis) => place * sizes[axis]! + at * strides[axis]! + from[axis]! - pads[axis]!, 0),
        )
        const here = constant('int64', standing, [1, 1, ...counts])
        return where(equal(slice(around, axes, from, ends, strides), y), here, places)
      },
      constant('int64', 0),
    )
}

type Scatter = NonNullable<Expansions['MaxPoolScatter']>

/** By scatters that add nothing up. */
export const maxPoolApart: Scatter = ([dy, places, x], attributes) => [scatterApart([dy!, places!, x!], attributes)]

/** Where the pooling itself is in the graph, which it is not in the body of a function, its maxima say their places. */
export const maxPoolScatter: Scatter = ([dy, places, x], attributes) => {
  const pool = nodeOf(places)
  const found = pool?.operator === MaxPool ? placesOfMaxima(x!, pool.outputs[0]!, pool.attributes as never) : places!
  return maxPoolApart([dy!, found, x!], attributes)
}
