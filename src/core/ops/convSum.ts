// The sum that a convolution and its two gradients are three faces of, over any number of spatial axes: shapes, the sum
// itself, and samples of all kinds of windows.

import { normal } from '../graph/sample.js'
import { isKnown, type Shape, sizeOf, unifyShapes } from '../graph/shape.js'
import { isFloat } from '../graph/tensor.js'
import { GraphError, type Value } from '../graph/value.js'
import {
  areaOf,
  checkWindow,
  meetings,
  requireSizes,
  spanOf,
  usualWindow,
  type Window,
  type WindowAttributes,
  windowCounts,
} from './window.js'

export type ConvAttributes = Window & { readonly group: number }
/** As a node of ONNX has them. */
export type OpenConvAttributes = WindowAttributes & { readonly group: number }

export function requireSpatial(...values: readonly Value[]): void {
  const [first] = values
  if (first!.shape.length < 3 || values.some((value) => value.shape.length !== first!.shape.length))
    throw new GraphError('needs inputs [N, C, …] and [O, C/group, …] with as many spatial axes, one at least')
  if (values.some((value) => !isFloat(value.dtype) || value.dtype !== first!.dtype)) {
    throw new GraphError('needs floating-point inputs of one dtype')
  }
}

export function requireBias(bias: Value | undefined, channels: Shape[number]): void {
  const fits =
    !bias || (bias.shape.length === 1 && (bias.shape[0] === channels || !isKnown(bias.shape[0]!) || !isKnown(channels)))
  if (!fits) throw new GraphError('the bias needs one number an output channel')
}

/** The kernel's size, from the weights. */
export function kernelOf(w: Shape, given?: readonly number[]): readonly number[] {
  const kernel = w.slice(2)
  if (!kernel.every(isKnown)) throw new GraphError('needs a known kernel size')
  if (given && given.join() !== kernel.join())
    throw new GraphError(`kernel_shape says ${given.join('×')}, the weights are ${kernel.join('×')}`)
  return kernel as number[]
}

export const kernelIn = (w: Value | undefined): readonly number[] | undefined => {
  const kernel = w?.shape.slice(2)
  return kernel?.every(isKnown) ? (kernel as number[]) : undefined
}

export function requireGroups(group: number): void {
  if (!(Number.isInteger(group) && group >= 1)) throw new GraphError('group must be a whole number from 1')
}

/** Shape of y for x and w. */
export function convShape(x: Shape, w: Shape, attributes: OpenConvAttributes): Shape {
  checkWindow(attributes, x.length - 2)
  const { group } = attributes
  requireGroups(group)
  const [outputs, inner] = w
  const kernel = kernelOf(w, attributes.kernel_shape)
  if (isKnown(x[1]!) && isKnown(inner!) && x[1] !== inner * group) {
    throw new GraphError(`x has ${x[1]} channels, the weights take ${inner} in ${group} group${group > 1 ? 's' : ''}`)
  }
  if (isKnown(outputs!) && outputs % group !== 0)
    throw new GraphError(`${outputs} output channels do not divide into ${group} groups`)
  return [x[0]!, outputs!, ...windowCounts(x.slice(2), kernel, attributes)]
}

/**
 * Visits the products of the convolution sum
 *   y[n, o, p, q] = Σ x[n, g·C/G + c, p·s − pad + i·d, …] · w[o, c, i, j]
 * of which y, dx and dw each add two factors, plane by plane: with the place of the weight, where the planes of x and of y begin,
 * and what each place of y's meets in x's (−1: nothing). The loop over a plane is the caller's, which makes it fast.
 */
export function forEachProduct(
  x: readonly number[],
  w: readonly number[],
  y: readonly number[],
  { group, ...window }: ConvAttributes,
  visit: (wAt: number, xPlane: number, yPlane: number, met: Int32Array) => void,
): void {
  const [, channels] = x as [number, number]
  const [outputs, inner] = w as [number, number]
  const [from, to] = [x.slice(2), y.slice(2)]
  const taps = meetings(from, to, { ...window, kernel_shape: w.slice(2) })
  const [area, places] = [areaOf(from), areaOf(to)]
  for (let n = 0; n < y[0]!; n++)
    for (let o = 0; o < outputs; o++)
      for (let c = 0; c < inner; c++) {
        const plane = (n * channels + Math.floor(o / (outputs / group)) * inner + c) * area
        for (const [tap, met] of taps.entries())
          visit((o * inner + c) * taps.length + tap, plane, (n * outputs + o) * places, met)
      }
}

export interface Sampled {
  inputs: ReturnType<typeof normal>[]
  attributes: Partial<ConvAttributes & { output_padding: readonly number[] }>
}

/** Convolutions of all kinds, on two axes and then on one and three. */
export const convSamples = (build: (x: number[], w: number[], attributes: Partial<ConvAttributes>) => Sampled) =>
  [
    build([2, 3, 5, 5], [4, 3, 3, 3], { pads: [1, 1, 1, 1] }),
    build([2, 3, 8, 6], [4, 3, 3, 3], { strides: [2, 2], pads: [1, 1, 1, 1] }),
    build([1, 2, 7, 5], [3, 2, 1, 1], { strides: [2, 2] }),
    build([2, 4, 6, 7], [6, 2, 3, 2], { group: 2, strides: [1, 2], pads: [0, 1, 2, 0] }),
    build([1, 3, 9, 8], [3, 1, 3, 3], { group: 3, dilations: [2, 1], pads: [2, 1, 2, 1] }),
    build([1, 2, 6, 6], [2, 2, 2, 2], { strides: [3, 2], dilations: [2, 3], pads: [1, 0, 0, 2] }),
    build([2, 3, 5, 5], [2, 3, 5, 3], { pads: [2, 1, 2, 1] }),
    build([2, 3, 7], [4, 3, 3], { pads: [1, 1] }),
    build([2, 4, 8], [6, 2, 2], { group: 2, strides: [3], dilations: [2], pads: [0, 1] }),
    build([1, 2, 4, 5, 4], [3, 2, 2, 3, 2], { pads: [1, 0, 0, 1, 1, 1] }),
    build([1, 2, 5, 4, 6], [2, 1, 2, 2, 2], { group: 2, strides: [2, 1, 3], dilations: [1, 2, 1] }),
  ] as const

export const zerosLike = (x: readonly number[]) => new Float64Array(Number(sizeOf(x)))

/** A bias added to what a convolution came to. */
export function biased(y: Float64Array, shape: readonly number[], bias: Float64Array | undefined): Float64Array {
  const area = areaOf(shape.slice(2))
  return bias ? y.map((value, i) => value + bias[Math.floor(i / area) % shape[1]!]!) : y
}

export type TransposedAttributes = ConvAttributes & { readonly output_padding: readonly number[] }

/** How far so many windows reach along an axis, beside the pads. */
export const reachOf = (count: number, kernel: number, axis: number, { strides, pads, dilations }: Window): number =>
  (count - 1) * strides[axis]! + spanOf(kernel, dilations[axis]!) - pads[axis]! - pads[axis + strides.length]!

/** Places at the end of each axis that a stride of the convolution never reached: what dx has beyond its windows. */
export function outputPadding(x: Shape, w: Shape, window: Window): number[] {
  const kernel = kernelOf(w)
  const sizes = requireSizes(x.slice(2))
  const counts = windowCounts(sizes, kernel, window) as readonly number[]
  return sizes.map((size, axis) => size - reachOf(counts[axis]!, kernel[axis]!, axis, window))
}

/** Shape of dx for dy and w. */
export function transposedShape(dy: Shape, w: Shape, attributes: TransposedAttributes): Shape {
  const axes = dy.length - 2
  checkWindow(attributes, axes)
  const kernel = kernelOf(w, attributes.kernel_shape)
  const { group, output_padding } = attributes
  requireGroups(group)
  if (isKnown(w[0]!) && w[0] % group !== 0)
    throw new GraphError(`${w[0]} input channels do not divide into ${group} groups`)
  if (output_padding.length !== axes || !output_padding.every((rest) => Number.isInteger(rest) && rest >= 0))
    throw new GraphError(`output_padding must be ${axes} whole numbers from 0`)
  if (isKnown(dy[1]!) && isKnown(w[0]!) && dy[1] !== w[0]) {
    throw new GraphError(`the input has ${dy[1]} channels, the weights take ${w[0]}`)
  }
  const spatial = requireSizes(dy.slice(2)).map((count, axis) => {
    const size = reachOf(count, kernel[axis]!, axis, attributes) + output_padding[axis]!
    if (size < 1) throw new GraphError(`the pads leave nothing of an axis of ${count}`)
    return size
  })
  return [dy[0]!, sizeOf([group, w[1]!]), ...spatial]
}

/** dx[…] = Σ dy · w over all that lead there. */
export function transposedSum(
  dy: { readonly shape: readonly number[]; readonly data: Float64Array },
  w: { readonly shape: readonly number[]; readonly data: Float64Array },
  shape: readonly number[],
  attributes: ConvAttributes,
): Float64Array {
  const dx = zerosLike(shape)
  forEachProduct(shape, w.shape, dy.shape, attributes, (wAt, xPlane, yPlane, met) => {
    const factor = w.data[wAt]!
    for (let place = 0; place < met.length; place++)
      if (met[place]! >= 0) dx[xPlane + met[place]!]! += dy.data[yPlane + place]! * factor
  })
  return dx
}

export const transposedSamples = convSamples((x, w, given) => {
  const window = { ...usualWindow(x.length - 2, given), group: given.group ?? 1 }
  const y = convShape(x, w, window) as number[]
  return {
    inputs: [normal(...y), normal(...w)],
    attributes: { ...given, output_padding: outputPadding(x, w, window) },
  }
})

/** Shape of dw for x and dy. */
export function weightShape(x: Shape, dy: Shape, attributes: ConvAttributes): Shape {
  const { kernel_shape: kernel, group } = attributes
  const axes = x.length - 2
  if (kernel?.length !== axes) throw new GraphError(`needs kernel_shape, ${axes} whole numbers from 1`)
  requireSizes(x.slice(2))
  const channels = x[1]!
  if (isKnown(channels) && channels % group !== 0)
    throw new GraphError(`${channels} channels do not divide into ${group} groups`)
  const shape = [dy[1]!, isKnown(channels) ? channels / group : channels, ...kernel]
  const expected = convShape(x, shape, attributes)
  if (!unifyShapes(expected, dy)) throw new GraphError(`dy should be [${expected}] for this x`)
  return shape
}
