// Windows that slide over spatial axes: what convolutions and pools have in common. Any number of axes.

import { type Attributes, optional } from '../graph/operator.js'
import { addDims, type Dim, divideDim, isKnown, isStatic, type Shape, sizeOf, unknownDim } from '../graph/shape.js'
import { GraphError } from '../graph/value.js'
import { indices } from './reference.js'

/** One number an axis; pads are all the starts, then all the ends: [top, left, bottom, right]. */
export interface Window {
  readonly kernel_shape?: readonly number[] | undefined
  readonly strides: readonly number[]
  readonly pads: readonly number[]
  readonly dilations: readonly number[]
}

/** A window as a node has it: without pads where `auto_pad` says how many and a size is a symbol. */
export interface WindowAttributes extends Omit<Window, 'pads'> {
  readonly pads?: readonly number[] | undefined
  readonly auto_pad?: string | undefined
}

/** The usual values are those of two axes; of others `completeWindow` gives them. */
export const windowAttributes = {
  kernel_shape: optional('ints'),
  strides: { kind: 'ints', optional: false, default: [1, 1] },
  pads: { kind: 'ints', optional: false, default: [0, 0, 0, 0] },
  dilations: { kind: 'ints', optional: false, default: [1, 1] },
} as const
export const openPads = { kind: 'ints', optional: true, default: [0, 0, 0, 0] } as const
export const autoPad = { kind: 'string', optional: true, default: 'NOTSET' } as const

const filled = (count: number, value: number): readonly number[] => new Array<number>(Math.max(0, count)).fill(value)

/** Strides, dilations and pads of so many axes, where they are not given. */
export const usualWindow = (axes: number, given: Attributes): Window => ({
  strides: (given.strides as readonly number[] | undefined) ?? filled(axes, 1),
  pads: (given.pads as readonly number[] | undefined) ?? filled(2 * axes, 0),
  dilations: (given.dilations as readonly number[] | undefined) ?? filled(axes, 1),
})

/** The attributes with a whole window in them: pads in the place of auto_pad, as far as the sizes are known. */
export function completeWindow<A extends WindowAttributes>(
  attributes: A,
  given: Attributes,
  spatial: Shape,
  kernel: readonly number[] | undefined,
): A {
  const window = usualWindow(spatial.length, given)
  const { auto_pad } = attributes
  if (!auto_pad || auto_pad === 'NOTSET') return { ...attributes, ...window, auto_pad: undefined }
  const pads =
    kernel &&
    isWindow({ ...window, kernel_shape: kernel }, spatial.length) &&
    autoPads(spatial, kernel, window, auto_pad)
  return { ...attributes, ...window, ...(pads ? { pads, auto_pad: undefined } : { pads: undefined }) }
}

/**
 * The pads that auto_pad means: SAME as many as ⌈in/stride⌉ places ask for, the odd one at the end (UPPER) or the start
 * (LOWER); VALID none. Undefined where a size that counts is not known.
 */
function autoPads(
  spatial: Shape,
  kernel: readonly number[],
  { strides, dilations }: Window,
  auto_pad: string,
): readonly number[] | undefined {
  if (auto_pad === 'VALID') return filled(2 * spatial.length, 0)
  if (!isSame(auto_pad)) return undefined
  const totals = spatial.map((size, axis) => {
    const [span, stride] = [spanOf(kernel[axis]!, dilations[axis]!), strides[axis]!]
    if (stride === 1) return span - 1
    return isKnown(size) ? Math.max(0, (Math.ceil(size / stride) - 1) * stride + span - size) : Number.NaN
  })
  return totals.some(Number.isNaN) ? undefined : distributed(totals, auto_pad === 'SAME_UPPER')
}
const isSame = (auto_pad: string) => auto_pad === 'SAME_UPPER' || auto_pad === 'SAME_LOWER'

/** Pads that come to these totals, the odd one at the end or at the start. */
export const distributed = (totals: readonly number[], atEnd: boolean): readonly number[] => {
  const less = totals.map((total) => Math.floor(total / 2))
  const more = totals.map((total, axis) => total - less[axis]!)
  return atEnd ? [...less, ...more] : [...more, ...less]
}

/** How far a kernel reaches along an axis. */
export const spanOf = (kernel: number, dilation: number): number => dilation * (kernel - 1) + 1

const whole = (values: readonly number[], count: number, least: number) =>
  values.length === count && values.every((value) => Number.isInteger(value) && value >= least)

const isWindow = ({ kernel_shape, strides, pads, dilations }: Window, axes: number): boolean =>
  (!kernel_shape || whole(kernel_shape, axes, 1)) &&
  whole(strides, axes, 1) &&
  whole(dilations, axes, 1) &&
  whole(pads, 2 * axes, 0)

const counted = (count: number, what: string) => `${count} whole number${count === 1 ? '' : 's'} from ${what}`

const ways = ['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER']

export function checkWindow(window: WindowAttributes, axes: number): void {
  const { kernel_shape, strides, pads, dilations, auto_pad } = window
  if (auto_pad !== undefined && !ways.includes(auto_pad))
    throw new GraphError(`auto_pad '${auto_pad}' is not one of ${ways.join(', ')}`)
  if (kernel_shape && !whole(kernel_shape, axes, 1)) throw new GraphError(`kernel_shape must be ${counted(axes, '1')}`)
  if (!whole(strides, axes, 1)) throw new GraphError(`strides must be ${counted(axes, '1')}`)
  if (!whole(dilations, axes, 1)) throw new GraphError(`dilations must be ${counted(axes, '1')}`)
  if (pads && !whole(pads, 2 * axes, 0))
    throw new GraphError(
      `pads must be ${counted(2 * axes, '0')}: those at the start of each axis, then those at the end`,
    )
}

/** The window over axes of these sizes, with the pads that auto_pad means. */
export function windowOver(spatial: Shape, kernel: readonly number[], attributes: WindowAttributes): Window {
  const { strides, dilations, auto_pad } = attributes
  const pads = auto_pad ? autoPads(spatial, kernel, { ...attributes, pads: [] }, auto_pad) : attributes.pads
  if (!pads) throw new GraphError(`auto_pad=${auto_pad} needs known sizes, got [${spatial}]`)
  return { kernel_shape: kernel, strides, dilations, pads }
}

/**
 * ⌊(in + pads − dilation·(kernel − 1) − 1) / stride⌋ + 1 along each axis; ⌈in/stride⌉ by auto_pad. With `ceil` the division
 * rounds up, but no window starts in the padding at the end (ONNX, Operators.md, MaxPool).
 */
export function windowCounts(
  spatial: Shape,
  kernel: readonly number[],
  attributes: WindowAttributes,
  ceil = false,
): readonly Dim[] {
  const { strides, dilations, pads } = attributes
  return spatial.map((size, axis) => {
    const [span, stride] = [spanOf(kernel[axis]!, dilations[axis]!), strides[axis]!]
    // Only sizes that are not known leave auto_pad.
    if (!pads) return isKnown(size) ? Math.ceil(size / stride) : stride === 1 ? size : unknownDim()
    const [before, after] = [pads[axis]!, pads[axis + spatial.length]!]
    const more = before + after - span
    if (!isKnown(size))
      return stride === 1 ? addDims(size, more + 1) : ceil ? unknownDim() : strided(size, more, stride)
    const steps = (size + more) / stride
    const count = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1
    if (size + more < 0 || count < 1)
      throw new GraphError(`a window that spans ${span} does not fit an axis of ${size} with these pads`)
    return ceil && (count - 1) * stride >= size + before ? count - 1 : count
  })
}

/** ⌊(size + more)/stride⌋ + 1 of a symbol: size/stride where that divides, and what is more is less than a stride. */
function strided(size: Dim, more: number, stride: number): Dim {
  const quotient = divideDim(size, stride)
  return quotient === undefined ? unknownDim() : addDims(quotient, Math.floor(more / stride) + 1)
}

/** Sizes that have to be known, for a gradient that takes its window apart. */
export function requireSizes(spatial: Shape): readonly number[] {
  const open = spatial.find((size) => !isKnown(size))
  if (!isStatic(spatial)) throw new GraphError(`needs known height and width, got '${open}'`)
  return spatial
}

/**
 * For each tap of the kernel, in row-major order, the place of the input that it meets at each place of the output: row-major
 * places of one plane, −1 in the padding.
 */
export function meetings(
  input: readonly number[],
  output: readonly number[],
  { kernel_shape, strides, pads, dilations }: Window,
): readonly Int32Array[] {
  const places = Array.from(indices(output), (place) => [...place])
  return Array.from(indices(kernel_shape!), (tap) => {
    const offsets = tap.map((at, axis) => at * dilations[axis]! - pads[axis]!)
    return Int32Array.from(places, (place) => {
      let at = 0
      for (let axis = 0; axis < input.length; axis++) {
        const along = place[axis]! * strides[axis]! + offsets[axis]!
        if (along < 0 || along >= input[axis]!) return -1
        at = at * input[axis]! + along
      }
      return at
    })
  })
}

export const areaOf = (spatial: readonly number[]): number => Number(sizeOf(spatial))
