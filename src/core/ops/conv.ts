// Two-dimensional convolution and its two gradients: three faces of one sum over (output place, tap).

import {
  int,
  ONNX_DOMAIN,
  type Operator,
  operator,
  optional,
  type Primitive,
  primitive,
  TRAINING_DOMAIN,
} from '../graph/operator.js'
import { normal } from '../graph/sample.js'
import { type Dim, isKnown, type Shape, sizeOf } from '../graph/shape.js'
import { isFloat, numbers } from '../graph/tensor.js'
import { apply1, GraphError, type Value } from '../graph/value.js'
import { reduceSum } from './reduction.js'

export interface Window {
  readonly kernel_shape?: readonly number[] | undefined
  /** [vertical, horizontal] */
  readonly strides: readonly number[]
  /** [top, left, bottom, right] */
  readonly pads: readonly number[]
  readonly dilations: readonly number[]
}

export const windowAttributes = {
  kernel_shape: optional('ints'),
  strides: { kind: 'ints', optional: false, default: [1, 1] },
  pads: { kind: 'ints', optional: false, default: [0, 0, 0, 0] },
  dilations: { kind: 'ints', optional: false, default: [1, 1] },
} as const
const attributes = { ...windowAttributes, group: int(1) } as const
export type ConvAttributes = Window & { readonly group: number }

export function checkWindow({ kernel_shape, strides, pads, dilations }: Window): void {
  const whole = (values: readonly number[], count: number, least: number) =>
    values.length === count && values.every((value) => Number.isInteger(value) && value >= least)
  if (kernel_shape && !whole(kernel_shape, 2, 1)) throw new GraphError('kernel_shape must be two whole numbers from 1')
  if (!whole(strides, 2, 1)) throw new GraphError('strides must be two whole numbers from 1')
  if (!whole(dilations, 2, 1)) throw new GraphError('dilations must be two whole numbers from 1')
  if (!whole(pads, 4, 0)) throw new GraphError('pads must be four whole numbers from 0: top, left, bottom, right')
}

/** ⌊(in + pads − dilation·(kernel − 1) − 1) / stride⌋ + 1 along one spatial axis. */
export function windowCount(size: Dim, kernel: number, axis: 0 | 1, { strides, pads, dilations }: Window): number {
  if (!isKnown(size)) throw new GraphError(`needs known height and width, got '${size}'`)
  const span = dilations[axis]! * (kernel - 1) + 1
  const count = Math.floor((size + pads[axis]! + pads[axis + 2]! - span) / strides[axis]!) + 1
  if (count < 1) throw new GraphError(`a window that spans ${span} does not fit an axis of ${size} with these pads`)
  return count
}

function require4d(...values: readonly Value[]): void {
  if (values.some((value) => value.shape.length !== 4))
    throw new GraphError('needs four-dimensional inputs: [N, C, H, W] and [O, C/group, kh, kw]')
  if (values.some((value) => !isFloat(value.dtype) || value.dtype !== values[0]!.dtype)) {
    throw new GraphError('needs floating-point inputs of one dtype')
  }
}

const kernelOf = (w: Shape, given: readonly number[] | undefined): [number, number] => {
  const [kh, kw] = w.slice(2)
  if (!isKnown(kh!) || !isKnown(kw!)) throw new GraphError('needs a known kernel size')
  if (given && given.join() !== `${kh},${kw}`)
    throw new GraphError(`kernel_shape says ${given.join('×')}, the weights are ${kh}×${kw}`)
  return [kh, kw]
}

/** Shape of y for x and w. */
function convShape(x: Shape, w: Shape, attributes: ConvAttributes): Shape {
  checkWindow(attributes)
  const { group } = attributes
  if (!(Number.isInteger(group) && group >= 1)) throw new GraphError('group must be a whole number from 1')
  const [outputs, inner] = w
  const [kh, kw] = kernelOf(w, attributes.kernel_shape)
  if (isKnown(x[1]!) && isKnown(inner!) && x[1] !== inner * group) {
    throw new GraphError(`x has ${x[1]} channels, the weights take ${inner} in ${group} group${group > 1 ? 's' : ''}`)
  }
  if (isKnown(outputs!) && outputs % group !== 0)
    throw new GraphError(`${outputs} output channels do not divide into ${group} groups`)
  return [x[0]!, outputs!, windowCount(x[2]!, kh, 0, attributes), windowCount(x[3]!, kw, 1, attributes)]
}

/**
 * Visits every product of the convolution sum
 *   y[n, o, p, q] = Σ x[n, g·C/G + c, p·s − pad + i·d, …] · w[o, c, i, j]
 * with the places of its three factors; y, dx and dw each add the product of the other two.
 */
function forEachProduct(
  x: readonly number[],
  w: readonly number[],
  y: readonly number[],
  { strides, pads, dilations, group }: ConvAttributes,
  visit: (xAt: number, wAt: number, yAt: number) => void,
): void {
  const [, channels, height, width] = x as [number, number, number, number]
  const [outputs, inner, kh, kw] = w as [number, number, number, number]
  const [batch, , rows, columns] = y as [number, number, number, number]
  for (let n = 0; n < batch; n++)
    for (let o = 0; o < outputs; o++)
      for (let c = 0; c < inner; c++) {
        const channel = Math.floor(o / (outputs / group)) * inner + c
        for (let i = 0; i < kh; i++)
          for (let j = 0; j < kw; j++) {
            const wAt = ((o * inner + c) * kh + i) * kw + j
            for (let p = 0; p < rows; p++) {
              const row = p * strides[0]! - pads[0]! + i * dilations[0]!
              if (row < 0 || row >= height) continue
              for (let q = 0; q < columns; q++) {
                const column = q * strides[1]! - pads[1]! + j * dilations[1]!
                if (column < 0 || column >= width) continue
                const xAt = ((n * channels + channel) * height + row) * width + column
                visit(xAt, wAt, ((n * outputs + o) * rows + p) * columns + q)
              }
            }
          }
      }
}

const samples = (build: (x: number[], w: number[], attributes: Partial<ConvAttributes>) => Sampled) =>
  [
    build([2, 3, 5, 5], [4, 3, 3, 3], { pads: [1, 1, 1, 1] }),
    build([2, 3, 8, 6], [4, 3, 3, 3], { strides: [2, 2], pads: [1, 1, 1, 1] }),
    build([1, 2, 7, 5], [3, 2, 1, 1], { strides: [2, 2] }),
    build([2, 4, 6, 7], [6, 2, 3, 2], { group: 2, strides: [1, 2], pads: [0, 1, 2, 0] }),
    build([1, 3, 9, 8], [3, 1, 3, 3], { group: 3, dilations: [2, 1], pads: [2, 1, 2, 1] }),
    build([1, 2, 6, 6], [2, 2, 2, 2], { strides: [3, 2], dilations: [2, 3], pads: [1, 0, 0, 2] }),
    build([2, 3, 5, 5], [2, 3, 5, 3], { pads: [2, 1, 2, 1] }),
  ] as const
interface Sampled {
  inputs: ReturnType<typeof normal>[]
  attributes: Partial<ConvAttributes & { output_padding: readonly number[] }>
}

const zerosLike = (x: readonly number[]) => new Float64Array(Number(sizeOf(x)))

/** y = x ∗ w (cross-correlation, as everywhere in the field), with an optional bias an output channel. */
export const Conv: Operator<typeof attributes> = operator({
  name: 'Conv',
  domain: ONNX_DOMAIN,
  since: 11,
  attributes,
  arity: [2, 3],
  infer([x, w, b], attributes) {
    require4d(x!, w!)
    if (b && (b.shape.length !== 1 || b.shape[0] !== w!.shape[0]))
      throw new GraphError('the bias needs one number an output channel')
    return [{ dtype: x!.dtype, shape: convShape(x!.shape, w!.shape, attributes) }]
  },
  gradient: {
    rule: ({ grad, inputs: [x, w, b], attributes }) => [
      convInputGrad(grad, w!, { ...attributes, output_padding: outputPadding(x!.shape, w!.shape, attributes) }),
      convWeightGrad(x!, grad, { ...attributes, kernel_shape: kernelOf(w!.shape, undefined) }),
      b && reduceSum(grad, [0, 2, 3], { keepdims: 0 }),
    ],
  },
  evaluate([x, w, b], attributes) {
    const shape = convShape(x!.shape, w!.shape, attributes) as readonly number[]
    const y = zerosLike(shape)
    forEachProduct(x!.shape, w!.shape, shape, attributes, (xAt, wAt, yAt) => {
      y[yAt]! += x!.data[xAt]! * w!.data[wAt]!
    })
    const area = shape[2]! * shape[3]!
    return [numbers(x!.dtype, shape, b ? y.map((v, i) => v + b.data[Math.floor(i / area) % shape[1]!]!) : y)]
  },
  samples: [
    { inputs: [normal(2, 3, 4, 4), normal(2, 3, 3, 3), normal(2)] },
    ...samples((x, w, attributes) => ({ inputs: [normal(...x), normal(...w)], attributes })),
  ],
})
export type ConvOptions = { readonly [K in keyof ConvAttributes]?: ConvAttributes[K] | undefined }
export const conv = (x: Value, w: Value, options: ConvOptions & { bias?: Value } = {}): Value => {
  const { bias, ...attributes } = options
  return apply1(Conv, bias ? [x, w, bias] : [x, w], attributes)
}

/** Rows and columns at the bottom right that a stride of the convolution never reached: what dx has beyond its windows. */
export function outputPadding(x: Shape, w: Shape, attributes: ConvAttributes): [number, number] {
  const kernel = kernelOf(w, undefined)
  return [0, 1].map((axis) => {
    const size = x[axis + 2]!
    const count = windowCount(size, kernel[axis]!, axis as 0 | 1, attributes)
    return (size as number) - spanOf(count, kernel[axis]!, axis, attributes)
  }) as [number, number]
}

const spanOf = (count: number, kernel: number, axis: number, { strides, pads, dilations }: Window): number =>
  (count - 1) * strides[axis]! + dilations[axis]! * (kernel - 1) + 1 - pads[axis]! - pads[axis + 2]!

const transposedAttributes = {
  ...attributes,
  output_padding: { kind: 'ints', optional: false, default: [0, 0] },
} as const
type TransposedAttributes = ConvAttributes & { readonly output_padding: readonly number[] }

function transposedShape(dy: Shape, w: Shape, attributes: TransposedAttributes): Shape {
  checkWindow(attributes)
  const kernel = kernelOf(w, attributes.kernel_shape)
  const { group, output_padding } = attributes
  if (!(Number.isInteger(group) && group >= 1)) throw new GraphError('group must be a whole number from 1')
  if (isKnown(w[0]!) && w[0] % group !== 0)
    throw new GraphError(`${w[0]} input channels do not divide into ${group} groups`)
  if (output_padding.length !== 2 || !output_padding.every((rest) => Number.isInteger(rest) && rest >= 0))
    throw new GraphError('output_padding must be two whole numbers from 0')
  if (isKnown(dy[1]!) && isKnown(w[0]!) && dy[1] !== w[0]) {
    throw new GraphError(`the input has ${dy[1]} channels, the weights take ${w[0]}`)
  }
  const spatial = ([0, 1] as const).map((axis) => {
    const count = dy[axis + 2]!
    if (!isKnown(count)) throw new GraphError(`needs known height and width, got '${count}'`)
    const size = spanOf(count, kernel[axis]!, axis, attributes) + output_padding[axis]!
    if (size < 1) throw new GraphError(`the pads leave nothing of an axis of ${count}`)
    return size
  })
  const inner = w[1]!
  return [dy[0]!, sizeOf([group, inner]), ...spatial]
}

/**
 * The adjoint of x ↦ x ∗ w: ONNX's ConvTranspose, with the weights laid out as Conv has them, [O, C/group, kh, kw].
 * It is linear in both operands: its own gradients are a Conv and a weight gradient.
 */
const adjoint = (name: string, domain: string, since: number): Operator<typeof transposedAttributes> =>
  operator({
    name,
    domain,
    since,
    attributes: transposedAttributes,
    arity: [2, 2],
    infer([dy, w], attributes) {
      require4d(dy!, w!)
      return [{ dtype: dy!.dtype, shape: transposedShape(dy!.shape, w!.shape, attributes) }]
    },
    gradient: {
      rule({ grad, inputs: [dy, w], attributes: { output_padding, ...rest } }) {
        return [
          conv(grad, w!, rest),
          convWeightGrad(grad, dy!, { ...rest, kernel_shape: kernelOf(w!.shape, undefined) }),
        ]
      },
    },
    evaluate([dy, w], attributes) {
      const shape = transposedShape(dy!.shape, w!.shape, attributes) as readonly number[]
      const dx = zerosLike(shape)
      forEachProduct(shape, w!.shape, dy!.shape, attributes, (xAt, wAt, yAt) => {
        dx[xAt]! += dy!.data[yAt]! * w!.data[wAt]!
      })
      return [numbers(dy!.dtype, shape, dx)]
    },
    samples: samples((x, w, given) => {
      const attributes = { ...defaults, ...given }
      const y = convShape(x, w, attributes) as number[]
      return {
        inputs: [normal(...y), normal(...w)],
        attributes: { ...given, output_padding: outputPadding(x, w, attributes) },
      }
    }),
  })
const defaults: ConvAttributes = { strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 }

/** dx of a convolution from dy and w. `output_padding` restores what the stride left over of x. */
export const ConvInputGrad = {
  ...adjoint('ConvInputGrad', TRAINING_DOMAIN, 1),
  doc: {
    inputs: ['dy', 'w'],
    outputs: ['dx'],
    text:
      'The gradient of Conv by its input, the adjoint: dx[n, c, p·s − pad + i·d, q·s − pad + j·d] is the sum of ' +
      'dy[n, o, p, q] · w[o, c, i, j] over all o, p, q, i, j that lead there (stride s, dilation d). Attributes as of Conv; ' +
      'output_padding is what of x no window reached.',
  },
}
export type TransposedOptions = ConvOptions & { readonly output_padding?: readonly number[] }
export const convInputGrad = (dy: Value, w: Value, options: TransposedOptions = {}): Value =>
  apply1(ConvInputGrad, [dy, w], options)

export const ConvTranspose = adjoint('ConvTranspose', ONNX_DOMAIN, 11)
export const convTranspose = (x: Value, w: Value, options: TransposedOptions = {}): Value =>
  apply1(ConvTranspose, [x, w], options)

function weightShape(x: Shape, dy: Shape, attributes: ConvAttributes): Shape {
  const { kernel_shape: kernel, group } = attributes
  if (kernel?.length !== 2) throw new GraphError('needs kernel_shape, two whole numbers from 1')
  const channels = x[1]!
  if (isKnown(channels) && channels % group !== 0)
    throw new GraphError(`${channels} channels do not divide into ${group} groups`)
  const shape = [dy[1]!, isKnown(channels) ? channels / group : channels, ...kernel]
  const expected = convShape(x, shape, attributes)
  if (expected.join() !== dy.join()) throw new GraphError(`dy should be [${expected}] for this x`)
  return shape
}

/** dw of a convolution from x and dy, [O, C/group, kh, kw]: bilinear, so its gradients are convolutions again. */
export const ConvWeightGrad: Primitive<typeof attributes> = primitive({
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
  attributes,
  arity: [2, 2],
  infer([x, dy], attributes) {
    require4d(x!, dy!)
    return [{ dtype: x!.dtype, shape: weightShape(x!.shape, dy!.shape, attributes) }]
  },
  gradient: {
    rule({ grad, inputs: [x], attributes: { kernel_shape, ...rest }, inputs }) {
      const output_padding = outputPadding(x!.shape, grad.shape, rest)
      return [convInputGrad(inputs[1]!, grad, { ...rest, output_padding }), conv(x!, grad, rest)]
    },
  },
  evaluate([x, dy], attributes) {
    const shape = weightShape(x!.shape, dy!.shape, attributes) as readonly number[]
    const dw = zerosLike(shape)
    forEachProduct(x!.shape, shape, dy!.shape, attributes, (xAt, wAt, yAt) => {
      dw[wAt]! += x!.data[xAt]! * dy!.data[yAt]!
    })
    return [numbers(x!.dtype, shape, dw)]
  },
  samples: samples((x, w, given) => {
    const y = convShape(x, w, { ...defaults, ...given }) as number[]
    return { inputs: [normal(...x), normal(...y)], attributes: { ...given, kernel_shape: w.slice(2) } }
  }),
})
export const convWeightGrad = (x: Value, dy: Value, options: ConvOptions): Value =>
  apply1(ConvWeightGrad, [x, dy], options)
