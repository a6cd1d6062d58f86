// Images in another size, by the filters that sharp has: Lanczos's of three lobes where it becomes smaller, cubic where it becomes
// larger. Browsers have filters of their own, which differ from each other.

/** Four bytes a pixel: red, green, blue, and one that is not looked at. */
export interface Pixels {
  readonly data: Uint8ClampedArray
  readonly height: number
  readonly width: number
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x))
const lanczos = (x: number) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0)
/** Of Catmull and Rom. */
function cubic(x: number): number {
  const t = Math.abs(x)
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1
  return t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0
}

/**
 * What each place of a new line takes: the old ones at `places`, times `weights`, whose sum is one. Places beyond an end are the end.
 * @param scale old places for each new one; where they do not come out even, the middles of both lines are the same place
 */
function tapsOf(from: number, scale: number, begin: number, end: number) {
  const [kernel, lobes, stretch] = scale > 1 ? [lanczos, 3, scale] : [cubic, 2, 1]
  // As libvips places them: where a line becomes longer, both begin at the same point.
  const shift = scale > 1 ? (scale + from - Math.round(from / scale) * scale) / 2 : 0
  const reach = lobes * stretch
  return Array.from({ length: end - begin }, (_, i) => {
    const centre = (begin + i) * scale - 0.5 + shift
    const first = Math.ceil(centre - reach)
    const weights = Float32Array.from({ length: Math.floor(centre + reach) - first + 1 }, (_, j) =>
      kernel((first + j - centre) / stretch),
    )
    const sum = weights.reduce((a, b) => a + b)
    const places = Int32Array.from(weights, (_, j) => Math.min(from - 1, Math.max(0, first + j)))
    return { places, weights: weights.map((weight) => weight / sum) }
  })
}

/** What is cut out of the image in its new size. */
export interface Cut {
  readonly top: number
  readonly left: number
  readonly height: number
  readonly width: number
}

/**
 * The image in another size, of which a part is taken: red, green and blue planes.
 * @param scales old rows and columns for each new one
 */
export function resample({ data, height, width }: Pixels, scales: readonly [number, number], cut: Cut): Uint8Array {
  const rows = tapsOf(height, scales[0], cut.top, cut.top + cut.height)
  const columns = tapsOf(width, scales[1], cut.left, cut.left + cut.width)
  const plane = cut.height * cut.width
  const planes = new Uint8Array(3 * plane)
  // Of one row of the new image, as wide as the old one.
  const row = new Float32Array(3 * width)
  rows.forEach(({ places, weights }, y) => {
    row.fill(0)
    for (let j = 0; j < places.length; j++) {
      const weight = weights[j]!
      const begin = places[j]! * width * 4
      for (let x = 0; x < width; x++) {
        row[3 * x]! += weight * data[begin + 4 * x]!
        row[3 * x + 1]! += weight * data[begin + 4 * x + 1]!
        row[3 * x + 2]! += weight * data[begin + 4 * x + 2]!
      }
    }
    columns.forEach((taps, x) => {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0
        for (let j = 0; j < taps.places.length; j++) sum += taps.weights[j]! * row[3 * taps.places[j]! + channel]!
        planes[channel * plane + y * cut.width + x] = Math.min(255, Math.max(0, Math.round(sum)))
      }
    })
  })
  return planes
}

/** Brightness of linear light for each byte. */
const linear = Float64Array.from({ length: 256 }, (_, byte) => {
  const value = byte / 255
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
})

/** The grey that is as bright as these colours. */
export function greyOf(planes: Uint8Array): Uint8Array {
  const plane = planes.length / 3
  return Uint8Array.from({ length: plane }, (_, i) => {
    const light =
      0.2126 * linear[planes[i]!]! + 0.7152 * linear[planes[plane + i]!]! + 0.0722 * linear[planes[2 * plane + i]!]!
    return Math.round(255 * (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055))
  })
}
