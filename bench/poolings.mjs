// Ways to write the gradient of MaxPool, for lowerings.mjs: each with its forward pass, which gives the maxima and their places. All
// give a tie's whole gradient to the first maximum, as PyTorch does.

import {
  add,
  apply,
  Col2Im,
  cast,
  concat,
  constant,
  div,
  equal,
  gradients,
  MaxPool,
  maxPool,
  mul,
  pad,
  reduceMean,
  reshape,
  scatterAdd,
  slice,
  sub,
  unsqueeze,
  where,
} from 'rdm-onnx'

const [BATCH, CHANNELS, SIZE] = [128, 16, 32]
const range = (count) => Array.from({ length: count }, (_, i) => i)

/** Where in its plane each maximum stands. */
function placesOf(x, window) {
  const [, places] = apply(MaxPool, [x], window)
  const area = constant('int64', SIZE * SIZE)
  return sub(places, mul(div(places, area), area))
}

/** Which tap of its window each maximum is, row · SIZE + column. */
function tapsOf(x, window) {
  const places = placesOf(x, window)
  const [stride, padding] = [window.strides[0], window.pads[0]]
  const [, , height, width] = places.shape
  const first = range(height).flatMap((i) =>
    range(width).map((j) => (i * stride - padding) * SIZE + j * stride - padding),
  )
  return cast(sub(places, constant('int64', first, [height, width])), 'float32')
}

/** Gradients of the taps along an axis put where the taps stand, and added up. */
function spread(gradientsOfTaps, { strides: [stride], pads: [padding] }, axis, size) {
  const count = gradientsOfTaps[0].shape[axis]
  const kernel = gradientsOfTaps.length
  const length = Math.ceil((count * stride + kernel) / stride)
  const classes = range(stride).map((rest) =>
    range(kernel)
      .filter((tap) => tap % stride === rest)
      .map((tap) =>
        pad(gradientsOfTaps[tap], [axis], [(tap - rest) / stride], [length - count - (tap - rest) / stride]),
      )
      .reduce((a, b) => add(a, b)),
  )
  const joined = concat(
    classes.map((part) => unsqueeze(part, axis + 1)),
    axis + 1,
  )
  const whole = reshape(
    joined,
    classes[0].shape.map((dim, i) => (i === axis ? dim * stride : dim)),
  )
  return slice(whole, [axis], [padding], [padding + size])
}

/** A gradient handed out to the first of the taps that holds the maximum. */
function handedOut(dy, taps, y) {
  let rest = dy
  return taps.map((tap, i) => {
    if (i === taps.length - 1) return rest
    const own = where(equal(tap, y), rest, 0)
    rest = sub(rest, own)
    return own
  })
}

/** The taps along an axis of a pool's input, each of the pool's size. */
function along(x, { strides: [stride], pads: [padding] }, axis, kernel, count) {
  const framed = padding === 0 ? x : pad(x, [axis], [padding], [padding + stride])
  return range(kernel).map((tap) => slice(framed, [axis], [tap], [tap + (count - 1) * stride + 1], [stride]))
}

const ways = (window) => {
  const [kernel] = window.kernel_shape
  return {
    'what the engine derives': ({ x, dy }) => gradients(maxPool(x, window), [x], { seed: dy })[0],
    'ScatterElements over each plane': ({ x, dy }) => {
      const [at, added] = [placesOf(x, window), dy].map((value) => reshape(value, [0, 0, -1]))
      return scatterAdd(
        constant('float32', new Float32Array(BATCH * CHANNELS * SIZE * SIZE), [BATCH, CHANNELS, SIZE * SIZE]),
        at,
        added,
        2,
      )
    },
    'a mask for each tap, by the places': ({ x, dy }) => {
      const taps = tapsOf(x, window)
      const lines = range(kernel).map((i) =>
        spread(
          range(kernel).map((j) => where(equal(taps, i * SIZE + j), dy, 0)),
          window,
          3,
          SIZE,
        ),
      )
      return spread(lines, window, 2, SIZE)
    },
    'masks for rows, then for columns, by the values': ({ x, dy }) => {
      const y = maxPool(x, window)
      const [stride, padding] = [window.strides[0], window.pads[0]]
      const lines = maxPool(x, { kernel_shape: [1, kernel], strides: [1, stride], pads: [0, padding, 0, padding] })
      const rows = handedOut(dy, along(lines, window, 2, kernel, y.shape[2]), y)
      const dlines = spread(rows, window, 2, SIZE)
      return spread(handedOut(dlines, along(x, window, 3, kernel, y.shape[3]), lines), window, 3, SIZE)
    },
    'one mask of all taps, Col2Im': ({ x, dy }) => {
      const taps = tapsOf(x, window)
      const places = taps.shape[2] * taps.shape[3]
      const names = range(kernel).flatMap((i) => range(kernel).map((j) => i * SIZE + j))
      const flat = (value) => reshape(value, [BATCH, CHANNELS, 1, places])
      const masked = where(equal(flat(taps), constant('float32', names, [names.length, 1])), flat(dy), 0)
      const columns = reshape(masked, [BATCH, CHANNELS * names.length, places])
      const sizes = [constant('int64', [SIZE, SIZE]), constant('int64', window.kernel_shape)]
      return apply(Col2Im, [columns, ...sizes], { strides: window.strides, pads: window.pads })[0]
    },
    'MaxPool alone': ({ x, dy }) => add(maxPool(x, window), mul(reduceMean(dy, undefined, { keepdims: 0 }), 0)),
  }
}

/** As in lowerings.mjs: name, inputs by shape, candidates. */
export const poolings = [
  ['2×2, stride 2', { kernel_shape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] }, 16],
  ['3×3, stride 1, pads 1', { kernel_shape: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] }, 32],
  ['3×3, stride 2, pads 1', { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }, 16],
].map(([what, window, size]) => ({
  name: `max pool and its gradient, ${what}, ${CHANNELS} channels at ${SIZE}×${SIZE}`,
  inputs: { x: [BATCH, CHANNELS, SIZE, SIZE], dy: [BATCH, CHANNELS, size, size] },
  candidates: ways(window),
}))
