// Floats of 16 bits and fewer, which are held by their bits: their bits from a number and back.

const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)

/** How a number between two powers of two goes to one of them; `nearest` takes the middle up. */
export type PowerRounding = 'up' | 'down' | 'nearest'

/** How a float's numbers are its bits. */
export interface FloatCode {
  /**
   * The bits of the float that is nearest to the float32 of a number; ties go to even.
   * @param saturate whether what is too large becomes the largest number rather than infinity, or NaN where there is none
   * @param round of what has only powers of two
   */
  encode(value: number, saturate?: boolean, round?: PowerRounding): number
  decode(code: number): number
  /** The largest number. */
  readonly max: number
}

/**
 * What stands beside the numbers. `ieee`: infinities and NaNs at the largest exponent. `fn` (finite): a NaN in the place of the
 * largest number. `fnuz`: a NaN in the place of −0, which is not there either. `none`: nothing, NaN becomes −0.
 */
type Special = 'ieee' | 'fn' | 'fnuz' | 'none'

/** A sign, an exponent and a fraction of so many bits; exponent 0 is that of numbers without a leading one. */
function signed(exponentBits: number, fractionBits: number, bias: number, special: Special): FloatCode {
  const sign = 1 << (exponentBits + fractionBits)
  const infinity = sign - (1 << fractionBits)
  const maxCode = special === 'ieee' ? infinity - 1 : special === 'fn' ? sign - 2 : sign - 1
  const nan = { ieee: infinity | (1 << (fractionBits - 1)), fn: sign - 1, fnuz: sign, none: sign }[special]
  // Bits of a float32's fraction that go, and what its exponents have too much.
  const shift = 23 - fractionBits
  const rebias = (127 - bias) << 23
  const unit = 2 ** (1 - bias - fractionBits)

  function rounded(magnitude: number): number {
    if (magnitude < rebias + (1 << 23)) return nearestEven(Math.abs(float[0]!) / unit)
    const kept = magnitude - rebias
    return (kept + (1 << (shift - 1)) - 1 + ((kept >>> shift) & 1)) >>> shift
  }

  function decode(code: number): number {
    const magnitude = code & (sign - 1)
    const exponent = magnitude >> fractionBits
    const fraction = magnitude - (exponent << fractionBits)
    if (special === 'ieee' && magnitude > infinity) return Number.NaN
    if ((special === 'fn' && magnitude === nan) || (special === 'fnuz' && code === nan)) return Number.NaN
    const plus =
      special === 'ieee' && magnitude === infinity
        ? Number.POSITIVE_INFINITY
        : exponent === 0
          ? fraction * unit
          : ((1 << fractionBits) + fraction) * 2 ** (exponent - bias - fractionBits)
    return code & sign ? -plus : plus
  }

  return {
    encode(value, saturate = false) {
      float[0] = value
      const minus = bits[0]! >>> 31 === 1 ? sign : 0
      if (Number.isNaN(value)) return nan === sign ? nan : minus | nan
      const code = rounded(bits[0]! & 0x7fffffff)
      if (code <= maxCode) return special === 'fnuz' && code === 0 ? 0 : minus | code
      if (saturate || special === 'none') return minus | maxCode
      return special === 'ieee' ? minus | infinity : special === 'fn' ? minus | nan : nan
    },
    decode,
    max: decode(maxCode),
  }
}

function nearestEven(value: number): number {
  const below = Math.floor(value)
  const rest = value - below
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below
}

/** The powers of two from 2^−127 to 2^127, by their exponent and no sign; 255 is NaN. */
const powers: FloatCode = {
  encode(value, saturate = true, round = 'up') {
    const size = Math.abs(value)
    if (Number.isNaN(value) || (size === Number.POSITIVE_INFINITY && !saturate)) return 255
    const below = Math.floor(Math.log2(size))
    // The logarithm of what lies next to a power may be that of the power.
    const exponent = 2 ** below > size ? below - 1 : below
    const ratio = size / 2 ** exponent
    const code = 127 + exponent + (ratio >= { up: 1 + Number.EPSILON, nearest: 1.5, down: 2 }[round] ? 1 : 0)
    if (code >= 0 && code <= 254) return code
    return saturate ? Math.min(Math.max(code, 0), 254) : 255
  },
  decode: (code) => (code === 255 ? Number.NaN : 2 ** (code - 127)),
  max: 2 ** 127,
}

/**
 * The floats that are held by their bits: half precision (IEEE 754 binary16), bfloat16, and those of 8, 6 and 4 bits (OCP 8-bit
 * floating point and microscaling formats; fnuz: Noune et al. 2022). Their names are ONNX's: bits of the exponent and of the
 * fraction.
 */
export const floatCodes = {
  float16: signed(5, 10, 15, 'ieee'),
  bfloat16: signed(8, 7, 127, 'ieee'),
  float8e4m3fn: signed(4, 3, 7, 'fn'),
  float8e4m3fnuz: signed(4, 3, 8, 'fnuz'),
  float8e5m2: signed(5, 2, 15, 'ieee'),
  float8e5m2fnuz: signed(5, 2, 16, 'fnuz'),
  float8e8m0: powers,
  float6e2m3: signed(2, 3, 1, 'none'),
  float6e3m2: signed(3, 2, 3, 'none'),
  float4e2m1: signed(2, 1, 1, 'none'),
}
