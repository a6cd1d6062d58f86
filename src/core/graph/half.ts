// Numbers of 16 bits: half precision (IEEE 754 binary16) and bfloat16, their bits from a number and back.

const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)

/** The bits of the half that is nearest to the float32 of a number; ties go to even, what is too large to infinity. */
export function halfBits(value: number): number {
  float[0] = value
  const x = bits[0]!
  const sign = (x >>> 16) & 0x8000
  const magnitude = x & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  // From 65520 on it rounds to infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  // Below 2^-14 halves have no exponent of their own: their unit is 2^-24.
  if (magnitude < 0x38800000) return sign | roundedToEven(Math.abs(float[0]!) * 2 ** 24)
  // 13 bits of the fraction go, and the exponent's bias is 15 instead of 127.
  const kept = magnitude - 0x38000000
  return sign | ((kept + 0xfff + ((kept >>> 13) & 1)) >>> 13)
}

function roundedToEven(value: number): number {
  const below = Math.floor(value)
  const rest = value - below
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below
}

export function halfValue(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >> 10) & 0x1f
  const fraction = half & 0x3ff
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** The bits of the bfloat16 that is nearest to the float32 of a number: its upper half; ties go to even. */
export function brainBits(value: number): number {
  float[0] = value
  const x = bits[0]!
  if (Number.isNaN(value)) return ((x >>> 16) & 0x8000) | 0x7fc0
  return ((x + 0x7fff + ((x >>> 16) & 1)) >>> 16) & 0xffff
}

export function brainValue(brain: number): number {
  bits[0] = brain << 16
  return float[0]!
}
