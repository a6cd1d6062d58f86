// Colours of curves: told from each other by everybody, and from the background.
import { expect, it } from 'vitest'
import { onDark, onWhite, type Theme } from '../../../src/driver/charts/style.js'

type Triple = readonly [number, number, number]
type Matrix = readonly [Triple, Triple, Triple]

/** What a colour in linear RGB becomes without one kind of cone (Machado et al. 2009, severity 1). */
const sights: Readonly<Record<string, Matrix>> = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
}
/** Linear RGB to CIE XYZ over the white point D65. */
const toXyz: Matrix = [
  [0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047],
  [0.2126729, 0.7151522, 0.072175],
  [0.0193339 / 1.08883, 0.119192 / 1.08883, 0.9503041 / 1.08883],
]

const times = (matrix: Matrix, [a, b, c]: Triple): Triple => {
  const [x, y, z] = matrix.map(([p, q, r]) => p * a + q * b + r * c)
  return [x!, y!, z!]
}

/** sRGB #rrggbb to linear. */
function linear(colour: string): Triple {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  })
  return [r!, g!, b!]
}

/** CIELAB of a colour in linear RGB. */
function lab(rgb: Triple): Triple {
  const [x, y, z] = times(toXyz, rgb).map((value) =>
    value > (6 / 29) ** 3 ? Math.cbrt(value) : value / (3 * (6 / 29) ** 2) + 4 / 29,
  )
  return [116 * y! - 16, 500 * (x! - y!), 200 * (y! - z!)]
}

function seen(colour: string, sight: Matrix): Triple {
  const [r, g, b] = times(sight, linear(colour)).map((value) => Math.min(1, Math.max(0, value)))
  return lab([r!, g!, b!])
}

/** Contrast ratio of WCAG 2. */
function contrast(a: string, b: string): number {
  const [dark, light] = [a, b].map((colour) => times(toXyz, linear(colour))[1]).sort((p, q) => p - q)
  return (light! + 0.05) / (dark! + 0.05)
}

it('knows black, white and the least distance that a pair of curves may have', () => {
  expect(contrast('#000000', '#ffffff')).toBeCloseTo(21)
  expect(lab(linear('#ffffff'))[0]).toBeCloseTo(100)
  // Red and green of the same lightness are one colour without the cones for green.
  const distance = (sight: string) =>
    Math.hypot(...seen('#b06a00', sights[sight]!).map((value, i) => value - seen('#7d8000', sights[sight]!)[i]!))
  expect(distance('normal')).toBeGreaterThan(25)
  expect(distance('deuteranopia')).toBeLessThan(12)
})

it.each<[string, Theme]>([
  ['white', onWhite],
  ['dark', onDark],
])('on %s, curves are told apart with any sight', (_, { curves, quiet, background, text }) => {
  for (const colour of curves) expect(contrast(colour, background), colour).toBeGreaterThan(3)
  expect(contrast(text, background)).toBeGreaterThan(7)
  for (const [name, sight] of Object.entries(sights)) {
    const lines = [...curves, quiet]
    for (const [i, a] of lines.entries()) {
      for (const b of lines.slice(i + 1)) {
        const [p, q] = [seen(a, sight), seen(b, sight)]
        const distance = Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2])
        expect(distance, `${a} and ${b}, ${name}`).toBeGreaterThan(18)
      }
    }
  }
})
