// Convolution over any number of spatial axes and its two gradients, which are primitives: each is bilinear, so that its own
// gradients are convolutions again.

import {
  int,
  ONNX_DOMAIN,
  type Operator,
  operator,
  type Primitive,
  primitive,
  TRAINING_DOMAIN,
} from '../graph/operator.js'
import { normal } from '../graph/sample.js'
import type { Shape } from '../graph/shape.js'
import { numbers } from '../graph/tensor.js'
import { apply1, type Value } from '../graph/value.js'
import {
  biased,
  type ConvAttributes,
  convSamples,
  convShape,
  forEachProduct,
  kernelIn,
  kernelOf,
  type OpenConvAttributes,
  outputPadding,
  requireBias,
  requireSpatial,
  transposedSamples,
  transposedShape,
  transposedSum,
  weightShape,
  zerosLike,
} from './convSum.js'
import { reduceSum } from './reduction.js'
import { squeeze, unsqueeze } from './shape.js'
import { autoPad, completeWindow, openPads, requireSizes, usualWindow, windowAttributes, windowOver } from './window.js'

const attributes = { ...windowAttributes, pads: openPads, group: int(1), auto_pad: autoPad } as const

/** Conv's attributes for sizes that are known. */
const closed = (x: Shape, w: Shape, { group, ...window }: OpenConvAttributes): ConvAttributes => ({
  ...windowOver(x.slice(2), kernelOf(w), window),
  group,
})

/** Σ over everything but the channels: the gradient of a bias. */
export const sumPerChannel = (grad: Value): Value =>
  reduceSum(
    grad,
    grad.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis])),
    { keepdims: 0 },
  )

/** y = x ∗ w (cross-correlation, as everywhere in the field), with an optional bias an output channel. */
export const Conv: Operator<typeof attributes> = operator({
  name: 'Conv',
  domain: ONNX_DOMAIN,
  since: 11,
  attributes,
  arity: [2, 3],
  complete: ([x, w], attributes, given) =>
    completeWindow(attributes, given, x?.shape.slice(2) ?? [], attributes.kernel_shape ?? kernelIn(w)),
  infer([x, w, b], attributes) {
    requireSpatial(x!, w!)
    requireBias(b, w!.shape[0]!)
    return [{ dtype: x!.dtype, shape: convShape(x!.shape, w!.shape, attributes) }]
  },
  gradient: {
    rule({ grad, inputs: [x, w, b], attributes }) {
      requireSizes(x!.shape.slice(2))
      const window = closed(x!.shape, w!.shape, attributes)
      const output_padding = outputPadding(x!.shape, w!.shape, window)
      return [
        convInputGrad(grad, w!, { ...window, kernel_shape: attributes.kernel_shape, output_padding }),
        convWeightGrad(x!, grad, window),
        b && sumPerChannel(grad),
      ]
    },
  },
  evaluate([x, w, b], attributes) {
    const window = closed(x!.shape, w!.shape, attributes)
    const shape = convShape(x!.shape, w!.shape, window) as readonly number[]
    const y = zerosLike(shape)
    forEachProduct(x!.shape, w!.shape, shape, window, (wAt, xPlane, yPlane, met) => {
      const factor = w!.data[wAt]!
      for (let place = 0; place < met.length; place++)
        if (met[place]! >= 0) y[yPlane + place]! += x!.data[xPlane + met[place]!]! * factor
    })
    return [numbers(x!.dtype, shape, biased(y, shape, b?.data))]
  },
  samples: [
    { inputs: [normal(2, 3, 4, 4), normal(2, 3, 3, 3), normal(2)] },
    ...convSamples((x, w, attributes) => ({ inputs: [normal(...x), normal(...w)], attributes })),
    { inputs: [normal(1, 2, 5), normal(2, 2, 2), normal(2)], attributes: { auto_pad: 'SAME_UPPER', strides: [2] } },
    { inputs: [normal(1, 2, 5, 6), normal(2, 2, 2, 4)], attributes: { auto_pad: 'SAME_LOWER', strides: [2, 1] } },
    { inputs: [normal(1, 1, 5, 6), normal(2, 1, 2, 4)], attributes: { auto_pad: 'VALID', strides: [2, 1] } },
  ],
})
/**
 * The window of a convolution as ONNX writes it: one number an axis behind the first two; pads are all the starts, then all
 * the ends.
 */
export type ConvOptions = { readonly [K in keyof ConvAttributes]?: ConvAttributes[K] | undefined }
/** The convolution (cross-correlation) of x [N, C, …] with w [O, C/group, …], and a bias [O] where one is given. */
export const conv = (x: Value, w: Value, options: ConvOptions & { bias?: Value } = {}): Value => {
  const { bias, ...attributes } = options
  return apply1(Conv, bias ? [x, w, bias] : [x, w], attributes)
}

const gradAttributes = { ...windowAttributes, group: int(1) } as const
const transposedAttributes = {
  ...gradAttributes,
  output_padding: { kind: 'ints', optional: false, default: [0, 0] },
} as const

/** dx of a convolution from dy and w. `output_padding` restores what the stride left over of x. */
export const ConvInputGrad: Primitive<typeof transposedAttributes> = primitive({
  name: 'ConvInputGrad',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['dy', 'w'],
    outputs: ['dx'],
    text:
      'The gradient of Conv by its input, the adjoint: dx[n, c, p·s − pad + i·d, q·s − pad + j·d] is the sum of ' +
      'dy[n, o, p, q] · w[o, c, i, j] over all o, p, q, i, j that lead there (stride s, dilation d). Attributes as of Conv; ' +
      'output_padding is what of x no window reached.',
  },
  attributes: transposedAttributes,
  arity: [2, 2],
  complete: ([dy], attributes, given) => {
    const axes = (dy?.shape.length ?? 2) - 2
    const output_padding = given.output_padding ? attributes.output_padding : usualWindow(axes, {}).pads.slice(0, axes)
    return { ...attributes, ...usualWindow(axes, given), output_padding }
  },
  infer([dy, w], attributes) {
    requireSpatial(dy!, w!)
    return [{ dtype: dy!.dtype, shape: transposedShape(dy!.shape, w!.shape, attributes) }]
  },
  gradient: {
    rule({ grad, inputs: [dy, w], attributes: { output_padding, ...rest } }) {
      return [conv(grad, w!, rest), convWeightGrad(grad, dy!, { ...rest, kernel_shape: kernelOf(w!.shape) })]
    },
  },
  evaluate([dy, w], attributes) {
    const shape = transposedShape(dy!.shape, w!.shape, attributes) as readonly number[]
    return [numbers(dy!.dtype, shape, transposedSum(dy!, w!, shape, attributes))]
  },
  samples: transposedSamples,
})
/** As {@link ConvOptions}, with places at the ends that no window reached. */
export type TransposedOptions = ConvOptions & { readonly output_padding?: readonly number[] | undefined }

/** Along one axis a convolution is one of height 1: its gradients are those of two axes, which every target has. */
const withHeight = (options: TransposedOptions): TransposedOptions => {
  const two = (values: readonly number[] | undefined, first: number) => values && [first, ...values]
  const { kernel_shape, strides, pads, dilations, output_padding } = options
  return {
    ...options,
    kernel_shape: two(kernel_shape, 1),
    strides: two(strides, 1),
    pads: pads && [0, pads[0]!, 0, pads[1]!],
    dilations: two(dilations, 1),
    ...(output_padding ? { output_padding: two(output_padding, 0) } : {}),
  }
}
const raised = (value: Value) => unsqueeze(value, 2)

/** dx of a convolution from dy [N, O, …] and w [O, C/group, …]: the transposed convolution. */
export const convInputGrad = (dy: Value, w: Value, options: TransposedOptions = {}): Value =>
  dy.shape.length === 3
    ? squeeze(convInputGrad(raised(dy), raised(w), withHeight(options)), 2)
    : apply1(ConvInputGrad, [dy, w], options)

/** dw of a convolution from x and dy, [O, C/group, …]: bilinear, so its gradients are convolutions again. */
export const ConvWeightGrad: Primitive<typeof gradAttributes> = primitive({
  name: 'ConvWeightGrad',
  domain: TRAINING_DOMAIN,
  since: 1,
  doc: {
    inputs: ['x', 'dy'],
    outputs: ['dw'],
    text:
      'The gradient of Conv by its weights: dw[o, c, i, j] is the sum of dy[n, o, p, q] · x[n, c, p·s − pad + i·d, ' +
      'q·s − pad + j·d] over all n, p, q (stride s, dilation d). Attributes as of Conv.',
  },
  attributes: gradAttributes,
  arity: [2, 2],
  complete: ([x], attributes, given) => ({ ...attributes, ...usualWindow((x?.shape.length ?? 2) - 2, given) }),
  infer([x, dy], attributes) {
    requireSpatial(x!, dy!)
    return [{ dtype: x!.dtype, shape: weightShape(x!.shape, dy!.shape, attributes) }]
  },
  gradient: {
    rule({ grad, inputs: [x, dy], attributes: { kernel_shape, ...rest } }) {
      const output_padding = outputPadding(x!.shape, grad.shape, rest)
      return [convInputGrad(dy!, grad, { ...rest, output_padding }), conv(x!, grad, rest)]
    },
  },
  evaluate([x, dy], attributes) {
    const shape = weightShape(x!.shape, dy!.shape, attributes) as readonly number[]
    const dw = zerosLike(shape)
    forEachProduct(x!.shape, shape, dy!.shape, attributes, (wAt, xPlane, yPlane, met) => {
      for (let place = 0; place < met.length; place++)
        if (met[place]! >= 0) dw[wAt]! += x!.data[xPlane + met[place]!]! * dy!.data[yPlane + place]!
    })
    return [numbers(x!.dtype, shape, dw)]
  },
  samples: convSamples((x, w, given) => {
    const window = { ...usualWindow(x.length - 2, given), group: given.group ?? 1 }
    const y = convShape(x, w, window) as number[]
    return { inputs: [normal(...x), normal(...y)], attributes: { ...given, kernel_shape: w.slice(2) } }
  }),
})
/** dw of a convolution from x [N, C, …] and dy [N, O, …]. */
export const convWeightGrad = (x: Value, dy: Value, options: ConvOptions): Value =>
  x.shape.length === 3
    ? squeeze(convWeightGrad(raised(x), raised(dy), withHeight(options)), 2)
    : apply1(ConvWeightGrad, [x, dy], options)
