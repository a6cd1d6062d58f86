// ConvTranspose: the adjoint of a convolution, in the words of ONNX.

import { int, ONNX_DOMAIN, type Operator, operator, optional } from '../graph/operator.js'
import { normal } from '../graph/sample.js'
import { addDims, type Dim, isKnown, isStatic, type Shape, sizeOf } from '../graph/shape.js'
import { numbers } from '../graph/tensor.js'
import { apply1, GraphError, type Value } from '../graph/value.js'
import { conv, convWeightGrad, sumPerChannel, type TransposedOptions } from './conv.js'
import {
  biased,
  kernelIn,
  kernelOf,
  reachOf,
  requireBias,
  requireSpatial,
  type TransposedAttributes,
  transposedSamples,
  transposedShape,
  transposedSum,
} from './convSum.js'
import { pad, slice } from './slice.js'
import {
  autoPad,
  checkWindow,
  distributed,
  openPads,
  requireSizes,
  spanOf,
  usualWindow,
  type Window,
  type WindowAttributes,
  windowAttributes,
  windowCounts,
} from './window.js'

const attributes = {
  ...windowAttributes,
  pads: openPads,
  group: int(1),
  output_padding: { kind: 'ints', optional: false, default: [0, 0] },
  output_shape: optional('ints'),
  auto_pad: autoPad,
} as const

interface OpenAttributes extends WindowAttributes {
  readonly group: number
  readonly output_padding: readonly number[]
  readonly output_shape?: readonly number[] | undefined
}

/**
 * Pads in the place of output_shape and auto_pad: total = stride·(in − 1) + output_padding + span − out, half of it on either
 * side, the odd one at the end for SAME_UPPER, at the start otherwise (ONNX, Operators.md, ConvTranspose). SAME means
 * out = in·stride. An output_shape beyond what the windows reach has zeros at the end.
 */
function padded(spatial: Shape, kernel: readonly number[], attributes: OpenAttributes): OpenAttributes {
  const { strides, dilations, output_padding, output_shape, auto_pad } = attributes
  const axes = spatial.length
  if (!output_shape && !auto_pad) return attributes
  const rest = { ...attributes, output_shape: undefined, auto_pad: undefined }
  if (!output_shape && auto_pad === 'VALID') return { ...rest, pads: usualWindow(axes, {}).pads }
  // Of SAME the size of the input goes out of the sum.
  if (output_shape && !isStatic(spatial)) return { ...attributes, pads: undefined }
  const excess = spatial.map((size, axis) => {
    const more = output_padding[axis]! + spanOf(kernel[axis]!, dilations[axis]!) - strides[axis]!
    return output_shape
      ? more + strides[axis]! * (size as number) - output_shape.slice(-axes)[axis]!
      : Math.max(0, more)
  })
  return {
    ...rest,
    pads: distributed(
      excess.map((total) => Math.max(0, total)),
      auto_pad === 'SAME_UPPER',
    ),
    output_padding: output_padding.map((more, axis) => more + Math.max(0, -excess[axis]!)),
  }
}

function closed(spatial: Shape, w: Shape, attributes: OpenAttributes): TransposedAttributes {
  const { output_shape: _, auto_pad: __, pads, ...rest } = padded(requireSizes(spatial), kernelOf(w), attributes)
  return { ...rest, pads: pads! }
}

/** A size that is a symbol: stride·in + what the window adds. */
function openSize(size: Dim, axis: number, kernel: number, window: Window, more: number): Dim {
  if (isKnown(size)) return reachOf(size, kernel, axis, window) + more
  return addDims(sizeOf([window.strides[axis]!, size]), reachOf(0, kernel, axis, window) + more)
}

function outputShape(x: Shape, w: Shape, attributes: OpenAttributes): Shape {
  const spatial = x.slice(2)
  const { output_shape } = attributes
  if (output_shape && ![spatial.length, x.length].includes(output_shape.length))
    throw new GraphError(`output_shape must be ${spatial.length} whole numbers from 1`)
  checkWindow(attributes, spatial.length)
  if (isStatic(spatial)) return transposedShape(x, w, closed(spatial, w, attributes))
  // Everything but the sizes is checked on some.
  const some = { ...attributes, output_shape: undefined, pads: usualWindow(spatial.length, {}).pads }
  const [, channels] = transposedShape(
    [x[0]!, x[1]!, ...spatial.map(() => 1)],
    w,
    closed(
      spatial.map(() => 1),
      w,
      some,
    ),
  )
  if (output_shape) return [x[0]!, channels!, ...output_shape.slice(-spatial.length)]
  const kernel = kernelOf(w)
  const { pads, ...found } = padded(spatial, kernel, attributes)
  const window = { ...found, pads: pads! }
  return [
    x[0]!,
    channels!,
    ...spatial.map((size, axis) => openSize(size, axis, kernel[axis]!, window, window.output_padding[axis]!)),
  ]
}

/** The adjoint of x ↦ x ∗ w, with the weights laid out as Conv has them, [O, C/group, …]; O are the channels of the input. */
export const ConvTranspose: Operator<typeof attributes> = operator({
  name: 'ConvTranspose',
  domain: ONNX_DOMAIN,
  since: 11,
  attributes,
  arity: [2, 3],
  complete([x, w], attributes, given) {
    const spatial = x?.shape.slice(2) ?? []
    const auto_pad = attributes.auto_pad === 'NOTSET' ? undefined : attributes.auto_pad
    const window = usualWindow(spatial.length, given)
    const output_padding = given.output_padding
      ? attributes.output_padding
      : window.pads.map(() => 0).slice(0, spatial.length)
    const all = { ...attributes, ...window, output_padding, auto_pad }
    const kernel = attributes.kernel_shape ?? kernelIn(w)
    const rank = [
      window.strides,
      window.dilations,
      output_padding,
      kernel ?? [],
      (attributes.output_shape ?? window.strides).slice(-spatial.length),
    ]
    return kernel && rank.every((values) => values.length === spatial.length)
      ? { ...all, ...padded(spatial, kernel, all) }
      : all
  },
  infer([x, w, b], attributes) {
    requireSpatial(x!, w!)
    const shape = outputShape(x!.shape, w!.shape, attributes)
    requireBias(b, shape[1]!)
    return [{ dtype: x!.dtype, shape }]
  },
  gradient: {
    rule({ grad, inputs: [x, w, b], attributes }) {
      const spatial = requireSizes(x!.shape.slice(2))
      const { output_padding, kernel_shape, ...window } = closed(spatial, w!.shape, attributes)
      const kernel = kernelOf(w!.shape)
      const axes = spatial.map((_, axis) => axis + 2)
      // More zeros at the end than a stride: windows that the input has no places for.
      const counts = windowCounts(grad.shape.slice(2), kernel, window) as readonly number[]
      const beyond = counts.map((count, axis) => count - spatial[axis]!)
      const some = beyond.some((amount) => amount > 0)
      const dx = conv(grad, w!, { ...window, kernel_shape })
      const framed = some
        ? pad(
            x!,
            axes,
            axes.map(() => 0),
            beyond,
          )
        : x!
      return [
        some
          ? slice(
              dx,
              axes,
              axes.map(() => 0),
              spatial,
            )
          : dx,
        convWeightGrad(grad, framed, { ...window, kernel_shape: kernel }),
        b && sumPerChannel(grad),
      ]
    },
  },
  evaluate([x, w, b], attributes) {
    const window = closed(x!.shape.slice(2), w!.shape, attributes)
    const shape = transposedShape(x!.shape, w!.shape, window) as readonly number[]
    return [numbers(x!.dtype, shape, biased(transposedSum(x!, w!, shape, window), shape, b?.data))]
  },
  samples: [
    ...transposedSamples,
    { inputs: [normal(1, 2, 3, 4), normal(2, 3, 3, 2), normal(3)], attributes: { strides: [2, 1] } },
    { inputs: [normal(1, 2, 3, 3), normal(2, 2, 3, 3)], attributes: { auto_pad: 'SAME_UPPER', strides: [2, 2] } },
    { inputs: [normal(1, 2, 4), normal(2, 2, 3)], attributes: { auto_pad: 'SAME_LOWER', strides: [2] } },
    { inputs: [normal(1, 1, 3, 3), normal(1, 2, 3, 3)], attributes: { output_shape: [10, 6], strides: [3, 2] } },
  ],
})
/** The transposed convolution of x [N, C, …] with w [C, O/group, …]. */
export const convTranspose = (x: Value, w: Value, options: TransposedOptions = {}): Value =>
  apply1(ConvTranspose, [x, w], options)
