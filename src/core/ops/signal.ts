// Signals: windows, Fourier transforms as matrix products, the mel scale.

import { composite } from '../graph/composite.js'
import { knownIn } from '../graph/dims.js'
import { int, ONNX_DOMAIN, type Operator, older, operator } from '../graph/operator.js'
import { fixed, held, normal, scalar, scalarInt } from '../graph/sample.js'
import { type Dim, isKnown, type Shape, sizeOf, unknownDim, unknownShape } from '../graph/shape.js'
import { type DType, type Numbers, numbers } from '../graph/tensor.js'
import { apply1, constant, constantTensor, GraphError, type Value } from '../graph/value.js'
import { add, cast, div, dtypeOf, mul, sub } from './elementwise.js'
import { gather } from './indexing.js'
import { matmul } from './matmul.js'
import { countUp } from './rearrange.js'
import { requireAxes, reshapeTo, transpose } from './shape.js'
import { cos } from './trigonometry.js'

function typeOf(code: number): DType {
  const dtype = dtypeOf(code)
  if (!dtype) throw new GraphError(`output_datatype=${code} is no element type known here`)
  return dtype
}

/** Before version 17 a matrix of numbers that are known stands in the place of what computes it. */
const asConstant = (inputs: readonly (Value | undefined)[], values: (numbers: readonly number[]) => Numbers) => {
  const known = inputs.map((value) => knownIn(value)?.[0])
  if (known.includes(undefined)) throw new GraphError('needs operands that are known before anything runs')
  return [constantTensor(values(known as number[]))]
}

const windowAttributes = { output_datatype: int(1), periodic: int(1) } as const

/** A window by cosines: Σ aₖ cos(2πkn/N), with N the size, or one less where it is symmetric. */
function cosineWindow(name: string, terms: readonly number[]): Operator<typeof windowAttributes> {
  const values = (size: number, periodic: number, dtype: DType) => {
    const period = periodic ? size : size - 1
    const at = (n: number) => terms.reduce((sum, a, k) => sum + a * Math.cos((2 * Math.PI * k * n) / period), 0)
    return numbers(
      dtype,
      [size],
      Float64Array.from({ length: size }, (_, n) => at(n)),
    )
  }
  return operator({
    name,
    domain: ONNX_DOMAIN,
    since: 17,
    before: {
      instead([size], { periodic, output_datatype }) {
        const known = knownIn(size)?.[0]
        const dtype = typeOf(output_datatype)
        if (known !== undefined) return [constantTensor(values(known, periodic, dtype))]
        const length = cast(size!, 'float32')
        const turn = div(mul(cast(countUp(size!), 'float32'), 2 * Math.PI), periodic ? length : sub(length, 1))
        return [cast(terms.map((a, k) => mul(cos(mul(turn, k)), a)).reduce(add), dtype)]
      },
    },
    attributes: windowAttributes,
    arity: [1, 1],
    infer: ([size], { output_datatype }) => [
      { dtype: typeOf(output_datatype), shape: [knownIn(size)?.[0] ?? unknownDim()] },
    ],
    gradient: 'zero',
    evaluate: ([size], { periodic, output_datatype }) => [values(size!.data[0]!, periodic, typeOf(output_datatype))],
    samples: [{ inputs: [scalarInt(6)] }, { inputs: [fixed('int64', [], [5])], attributes: { periodic: 0 } }],
  })
}

/** sin²(πn/N) */
export const HannWindow = cosineWindow('HannWindow', [0.5, -0.5])
/** 25/46 − 21/46 · cos(2πn/N) */
export const HammingWindow = cosineWindow('HammingWindow', [25 / 46, -21 / 46])
/** 0.42 − 0.5 cos(2πn/N) + 0.08 cos(4πn/N) */
export const BlackmanWindow = cosineWindow('BlackmanWindow', [0.42, -0.5, 0.08])

/** Triangles that are equally wide on the mel scale, 2595 · log₁₀(1 + f/700), over the places of a spectrum. */
function melWeights([bins, length, rate, lower, upper]: readonly number[], dtype: DType): Numbers {
  const [rows, columns] = [Math.floor(length! / 2) + 1, bins!]
  const mel = (hertz: number) => 2595 * Math.log10(1 + hertz / 700)
  const step = (mel(upper!) - mel(lower!)) / (columns + 2)
  const places = Array.from({ length: columns + 2 }, (_, i) => {
    const hertz = 700 * (10 ** ((mel(lower!) + i * step) / 2595) - 1)
    return Math.floor(((length! + 1) * hertz) / rate!)
  })
  const data = new Float64Array(rows * columns)
  for (let bin = 0; bin < columns; bin++) {
    const [left, centre, right] = places.slice(bin, bin + 3) as [number, number, number]
    if (left === centre) data[centre * columns + bin] = 1
    else for (let at = left; at <= centre; at++) data[at * columns + bin] = (at - left) / (centre - left)
    for (let at = centre; at < right; at++) data[at * columns + bin] = (right - at) / (right - centre)
  }
  return numbers(dtype, [rows, columns], data)
}

/** The matrix that takes a spectrum, [frames, dft_length/2 + 1], to num_mel_bins bands of the mel scale. */
export const MelWeightMatrix = operator({
  name: 'MelWeightMatrix',
  domain: ONNX_DOMAIN,
  since: 17,
  before: {
    instead: (inputs, { output_datatype }) => asConstant(inputs, (known) => melWeights(known, typeOf(output_datatype))),
  },
  attributes: { output_datatype: int(1) },
  arity: [5, 5],
  infer([bins, length], { output_datatype }) {
    const [columns, size] = [knownIn(bins)?.[0], knownIn(length)?.[0]]
    const rows = size === undefined ? unknownDim() : Math.floor(size / 2) + 1
    return [{ dtype: typeOf(output_datatype), shape: [rows, columns ?? unknownDim()] }]
  },
  gradient: 'zero',
  evaluate: (inputs, { output_datatype }) => [
    melWeights(
      inputs.map(({ data }) => data[0]!),
      typeOf(output_datatype),
    ),
  ],
  samples: [{ inputs: [scalarInt(4), scalarInt(16), scalarInt(8192), scalar(0), scalar(4096)] }],
})

interface Transform {
  /** Of the signal. */
  readonly from: number
  readonly length: number
  /** 1 for real numbers, 2 for complex ones. */
  readonly parts: number
  readonly inverse: boolean
  readonly onesided: boolean
}

const halfOf = (length: number) => Math.floor(length / 2) + 1

/**
 * The transform as a matrix [from · parts, places · parts of the result]. Forward e^(−2πikn/N); inverse e^(2πikn/N)/N; an inverse
 * of one side has each frequency twice but the first and, of an even length, the last.
 */
function transformMatrix({ from, length, parts, inverse, onesided }: Transform, dtype: DType): Value {
  const real = inverse && onesided
  const [places, partsOut] = [onesided && !inverse ? halfOf(length) : length, real ? 1 : 2]
  const used = Math.min(from, real ? halfOf(length) : length)
  const data = new Float64Array(from * parts * places * partsOut)
  for (let n = 0; n < used; n++)
    for (let k = 0; k < places; k++) {
      const angle = ((inverse ? 2 : -2) * Math.PI * ((n * k) % length)) / length
      const weight = (inverse ? 1 / length : 1) * (real && n > 0 && 2 * n !== length ? 2 : 1)
      const [c, s] = [weight * Math.cos(angle), weight * Math.sin(angle)]
      // (a + ib)(c + is) = (ac − bs) + i(as + bc)
      const factors = [
        [c, s],
        [-s, c],
      ]
      for (let p = 0; p < parts; p++)
        for (let q = 0; q < partsOut; q++) data[((n * parts + p) * places + k) * partsOut + q] = factors[p]![q]!
    }
  return constant(dtype, data, [from * parts, places * partsOut])
}

const dftAttributes = { inverse: int(0), onesided: int(0) } as const
interface DftAttributes {
  readonly inverse: number
  readonly onesided: number
}

/** The axis that is transformed and the length of the transform, as far as they are known. */
function transformOf(
  [x, lengthValue, axisValue]: readonly (Value | undefined)[],
  { inverse, onesided }: DftAttributes,
) {
  const rank = x!.shape.length
  const parts = x!.shape.at(-1)
  if (rank < 2 || (isKnown(parts!) && parts !== 1 && parts !== 2))
    throw new GraphError('needs a signal […, length, 1] of real numbers or […, length, 2] of complex ones')
  const given = axisValue ? knownIn(axisValue)?.[0] : -2
  if (given === undefined) return undefined
  const [axis] = requireAxes([given], rank)
  if (axis === rank - 1) throw new GraphError('the last axis holds the parts of a number; it cannot be transformed')
  const from = x!.shape[axis!]!
  const usual: Dim = inverse && onesided ? (isKnown(from) ? 2 * (from - 1) : unknownDim()) : from
  const length: Dim = lengthValue ? (knownIn(lengthValue)?.[0] ?? unknownDim()) : usual
  return { axis: axis!, from, length, parts: parts! }
}

const dft = composite({
  name: 'DFT',
  domain: ONNX_DOMAIN,
  since: 20,
  older: [
    older({
      until: 19,
      attributes: { axis: int(1), ...dftAttributes },
      read: ([x, length], { axis, ...rest }) => [apply1(DFT, [x!, length, constant('int64', axis)], rest)],
    }),
  ],
  attributes: dftAttributes,
  arity: [1, 3],
  differentiable: { inputs: [0] },
  body(inputs, attributes): readonly Value[] {
    const [x] = inputs
    const found = transformOf(inputs, attributes)
    if (!found || ![found.from, found.length, found.parts].every(isKnown))
      throw new GraphError('needs an axis and lengths that are known before anything runs')
    const { axis, from, length, parts } = found as { axis: number; from: number; length: number; parts: number }
    const [inverse, onesided] = [attributes.inverse === 1, attributes.onesided === 1]
    const matrix = transformMatrix({ from, length, parts, inverse, onesided }, x!.dtype)
    const rank = x!.shape.length
    const order = Array.from({ length: rank }, (_, i) => (i === axis ? rank - 2 : i === rank - 2 ? axis : i))
    const moved = axis === rank - 2 ? x! : transpose(x!, order)
    const lead = moved.shape.slice(0, -2)
    const product = matmul(reshapeTo(moved, [...lead, from * parts], moved), matrix)
    const partsOut = inverse && onesided ? 1 : 2
    const y = reshapeTo(product, [...lead, (matrix.shape[1] as number) / partsOut, partsOut], moved)
    return [axis === rank - 2 ? y : transpose(y, order)]
  },
  samples: [
    { inputs: [normal(2, 5, 1)] },
    { inputs: [normal(1, 4, 3, 2), undefined, scalarInt(1)] },
    { inputs: [normal(2, 6, 1)], attributes: { onesided: 1 } },
    { inputs: [normal(2, 5, 2)], attributes: { inverse: 1 } },
    { inputs: [normal(2, 4, 2), scalarInt(6)], attributes: { inverse: 1, onesided: 1 } },
    { inputs: [normal(2, 5, 1), scalarInt(7)] },
    { inputs: [normal(2, 5, 2), scalarInt(3)] },
  ],
})

/** The discrete Fourier transform along an axis; the last axis holds the real and the imaginary part. */
export const DFT: Operator<typeof dftAttributes> = {
  ...dft,
  infer(inputs, attributes) {
    const [x] = inputs
    const found = transformOf(inputs, attributes)
    if (!found)
      return [
        {
          dtype: x!.dtype,
          shape: [...unknownShape(x!.shape.length - 1), attributes.inverse && attributes.onesided ? 1 : 2],
        },
      ]
    const { axis, length } = found
    const half = attributes.onesided && !attributes.inverse
    const places = !half ? length : isKnown(length) ? halfOf(length) : unknownDim()
    const shape: Shape = x!.shape.map((dim, i) => (i === axis ? places : dim))
    return [{ dtype: x!.dtype, shape: [...shape.slice(0, -1), attributes.inverse && attributes.onesided ? 1 : 2] }]
  },
}

const stftAttributes = { onesided: int(1) } as const

/** How long frames are and how far apart, as far as that is known. */
function framesOf([signal, step, window, length]: readonly (Value | undefined)[]) {
  if (signal!.shape.length !== 3) throw new GraphError('needs a signal [batch, length, 1], or 2 for complex numbers')
  const long = length ? knownIn(length)?.[0] : window ? window.shape[0]! : signal!.shape[1]!
  return { step: knownIn(step)?.[0], long: long ?? unknownDim(), total: signal!.shape[1]! }
}

const stft = composite({
  name: 'STFT',
  domain: ONNX_DOMAIN,
  since: 17,
  attributes: stftAttributes,
  arity: [2, 4],
  differentiable: { inputs: [0, 2] },
  body(inputs, { onesided }) {
    const [signal, , window] = inputs
    const { step, long, total } = framesOf(inputs)
    if (step === undefined || !isKnown(long) || !isKnown(total))
      throw new GraphError('needs lengths that are known before anything runs')
    const frames = Math.floor((total - long) / step) + 1
    if (frames < 1) throw new GraphError(`a frame of ${long} is longer than the signal, ${total}`)
    const places = Float64Array.from({ length: frames * long }, (_, i) => Math.floor(i / long) * step + (i % long))
    const cut = gather(signal!, constant('int64', places, [frames, long]), 1)
    const weighted = window ? mul(cut, reshapeTo(window, [sizeOf(window.shape), 1])) : cut
    return [apply1(DFT, [weighted, undefined, constant('int64', 2)], { onesided })]
  },
  samples: [
    { inputs: [normal(1, 10, 1), scalarInt(3), normal(4)] },
    { inputs: [normal(2, 9, 1), scalarInt(2), undefined, scalarInt(5)], attributes: { onesided: 0 } },
    { inputs: [normal(1, 8, 1), scalarInt(4), held('float32', [4], [0.5, 1, 1, 0.5]), scalarInt(4)] },
  ],
})

/** Fourier transforms of frames of a signal, each weighted by a window: [batch, frames, frequencies, 2]. */
export const STFT: Operator<typeof stftAttributes> = {
  ...stft,
  infer(inputs, { onesided }) {
    const [signal] = inputs
    const { step, long, total } = framesOf(inputs)
    const frames =
      step !== undefined && isKnown(long) && isKnown(total) ? Math.floor((total - long) / step) + 1 : unknownDim()
    const frequencies = !onesided ? long : isKnown(long) ? halfOf(long) : unknownDim()
    return [{ dtype: signal!.dtype, shape: [signal!.shape[0]!, frames, frequencies, 2] }]
  },
}
