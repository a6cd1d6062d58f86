// Small made data for fine-tuning, as folders of .npy: the same every time.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { randomStream } from '../../dist/src/core/random.js'

const TYPES = { float32: ['<f4', Float32Array], int32: ['<i4', Int32Array], int64: ['<i8', BigInt64Array] }

/** NumPy's format, version 1. */
function npy(dtype, shape, values) {
  const [descr, Kind] = TYPES[dtype]
  const said = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`
  const header = `${said.padEnd(Math.ceil((said.length + 11) / 64) * 64 - 11)}\n`
  const prefix = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length & 255, header.length >> 8])
  const data = Kind === BigInt64Array ? BigInt64Array.from(values, BigInt) : Kind.from(values)
  return Buffer.concat([prefix, Buffer.from(header), Buffer.from(data.buffer)])
}

const product = (shape) => shape.reduce((count, size) => count * size, 1)
const listed = (shape, value) => Array.from({ length: product(shape) }, (_, i) => value(i))
const noise = (random, by) => by * (random.uniform() - 0.5)
const whole = (random, below) => Math.floor(below * random.uniform())

/** Where a place in [channels, height, width] is, whichever order the network has. */
function placeOf(i, [a, b, c]) {
  const isLast = c <= 4
  const width = isLast ? b : c
  const [at, channel] = isLast ? [Math.floor(i / c), i % c] : [i % (b * c), Math.floor(i / (b * c))]
  return { y: Math.floor(at / width), x: at % width, channel, size: isLast ? a : b }
}

/**
 * What an example is: given how to draw, the shapes of inputs and of the target and the number of classes, the numbers of each. Text
 * has no padding, and classes follow from what is there.
 */
export const tasks = {
  /** Which tenth of the circle the bright spot lies in. */
  spot({ random, inputs: [{ shape }], classes }) {
    const label = whole(random, classes)
    const angle = (2 * Math.PI * (label + noise(random, 0.3))) / classes
    const image = listed(shape, (i) => {
      const { y, x, size } = placeOf(i, shape)
      const [dy, dx] = [y / size - 0.5 - 0.3 * Math.sin(angle), x / size - 0.5 - 0.3 * Math.cos(angle)]
      return 2 * Math.exp(-80 * (dy * dy + dx * dx)) + noise(random, 0.4)
    })
    return { inputs: [image], target: [label] }
  },
  /** Which pixels lie in the bright disc. */
  disc({ random, inputs: [{ shape }], target }) {
    const [cy, cx, r] = [0.3 + 0.4 * random.uniform(), 0.3 + 0.4 * random.uniform(), 0.15 + 0.1 * random.uniform()]
    const isIn = (y, x, size) => (y / size - cy) ** 2 + (x / size - cx) ** 2 < r * r
    const image = listed(shape, (i) => {
      const { y, x, size } = placeOf(i, shape)
      return (isIn(y, x, size) ? 0.5 : -0.5) + noise(random, 1)
    })
    const [size, width] = target.shape
    return {
      inputs: [image],
      target: listed(target.shape, (i) => Number(isIn(Math.floor(i / width), i % width, size))),
    }
  },
  /** Which part of the vocabulary the tokens are from. */
  vocabulary({ random, inputs, classes }) {
    const label = whole(random, classes)
    const part = Math.floor(62 / classes)
    const tokens = listed(inputs[0].shape, () => 1 + label * part + whole(random, part))
    return { inputs: [tokens, ...inputs.slice(1).map(({ shape }) => listed(shape, () => 1))], target: [label] }
  },
  /** Yes or no: whether the tokens are from the upper half of the vocabulary. */
  above({ random, inputs: [{ shape }] }) {
    const label = whole(random, 2)
    return { inputs: [listed(shape, () => 32 * label + whole(random, 32))], target: [label] }
  },
  /** The next token, where each is the one before plus three. */
  next({ random, inputs }) {
    const first = whole(random, 64)
    const tokens = listed(inputs[0].shape, (i) => (first + 3 * i) % 64)
    const rest = inputs.slice(1).map(({ shape }) => listed(shape, () => 1))
    return { inputs: [tokens, ...rest], target: tokens.map((token) => (token + 3) % 64) }
  },
  /** A label for each token, which depends on the one before too. */
  tags({ random, inputs: [{ shape }], classes }) {
    const tokens = listed(shape, () => whole(random, 16))
    return {
      inputs: [tokens],
      target: tokens.map((token, i) => ((token % 2) + 2 * ((tokens[i - 1] ?? 0) % 2)) % classes),
    }
  },
  /** Numbers of numbers: smooth, and other ones at each place. */
  smooth({ random, inputs: [{ shape }], target }) {
    const given = listed(shape, () => 2 * random.uniform() - 1)
    const mean = given.reduce((sum, value) => sum + value, 0) / given.length
    const value = (i) => 0.5 * Math.sin(2 * given[i % given.length]) + mean
    return { inputs: [given], target: listed(target.shape, value) }
  },
  /** The class of numbers: which of the first few is largest. */
  largest({ random, inputs: [{ shape }], classes }) {
    const given = listed(shape, () => 2 * random.uniform() - 1)
    return { inputs: [given], target: [given.indexOf(Math.max(...given.slice(0, classes)))] }
  },
  /** How fast a signal swings. */
  frequency({ random, inputs: [{ shape }], classes }) {
    const label = whole(random, classes)
    const [speed, start] = [0.3 * (label + 1), 6 * random.uniform()]
    const length = shape.at(-1)
    return {
      inputs: [listed(shape, (i) => Math.sin(speed * (i % length) + start) + noise(random, 0.5))],
      target: [label],
    }
  },
  /** 576 samples at 16 kHz: a voice (a pitch and its harmonics, below two formants) or noise as loud. */
  voice({ random, inputs: [{ shape }] }) {
    const isVoice = random.uniform() < 0.5
    const [pitch, phase] = [90 + 120 * random.uniform(), 6 * random.uniform()]
    const formant = (f) => Math.exp(-(((f - 600) / 300) ** 2)) + 0.5 * Math.exp(-(((f - 1500) / 300) ** 2))
    const voiced = (i) =>
      [...Array(20).keys()].reduce((sum, k) => {
        const f = pitch * (k + 1)
        return sum + 0.1 * formant(f) * Math.sin((2 * Math.PI * f * i) / 16000 + phase * k)
      }, 0)
    return {
      inputs: [listed(shape, (i) => (isVoice ? voiced(i) : 0) + noise(random, isVoice ? 0.05 : 0.5))],
      target: [Number(isVoice)],
    }
  },
  /** The first bytes of a file of one of three formats that nobody has: records of digits, of letters, of both by turns. */
  bytes({ random, inputs: [{ shape }] }) {
    const label = whole(random, 3)
    const digit = () => 48 + whole(random, 10)
    const letter = () => 97 + whole(random, 26)
    const kinds = [digit, letter, (i) => (i % 2 ? digit() : letter())]
    return { inputs: [listed(shape, (i) => (i % 9 === 8 ? 59 : kinds[label](i)))], target: [label] }
  },
}

/** A folder with a training and a test set of what a model takes. */
export function makeData(folder, task, { inputs, targets: [target] }, sizes) {
  mkdirSync(folder, { recursive: true })
  const random = randomStream(7, 'networks')
  // Lengths that are open are eight.
  const ofExample = ({ shape, ...rest }) => ({
    ...rest,
    shape: shape.slice(1).map((size) => (typeof size === 'number' ? size : 8)),
  })
  const given = { random, inputs: inputs.map(ofExample), target: ofExample(target), classes: target.classes }
  for (const [split, count] of Object.entries(sizes)) {
    const examples = Array.from({ length: count }, () => tasks[task](given))
    const write = ({ name, dtype, shape }, parts) =>
      writeFileSync(join(folder, `${name}_${split}.npy`), npy(dtype, [count, ...shape], parts.flat()))
    for (const [k, input] of given.inputs.entries())
      write(
        input,
        examples.map((example) => example.inputs[k]),
      )
    write(
      given.target,
      examples.map((example) => example.target),
    )
  }
}

/** Letters that are others upside down, five by seven. */
const glyphs = [
  '1111110000111101000010000',
  '1000010000100001000011111',
  '1111100100001000010000100',
  '1111010001111101000010000',
  '1111100001000100010000100',
  '1000110010111001001010001',
]

/** A folder of images: lines of letters, as they are and turned by 180 degrees. */
export async function makeLines(folder, sizes, [height, width] = [48, 96]) {
  const random = randomStream(7, 'networks')
  for (const [split, count] of Object.entries(sizes))
    for (let k = 0; k < count; k++) {
      const label = k % 2 ? '180' : '0'
      const pixels = Buffer.alloc(height * width, 255)
      const [scale, top, left] = [4 + whole(random, 2), 6 + whole(random, 10), 2 + whole(random, 8)]
      const letters = Array.from(
        { length: Math.floor((width - left) / (6 * scale)) },
        () => glyphs[whole(random, glyphs.length)],
      )
      for (let y = 0; y < 5 * scale; y++)
        for (let x = 0; x < letters.length * 6 * scale; x++) {
          const [row, column, letter] = [
            Math.floor(y / scale),
            Math.floor(x / scale) % 6,
            letters[Math.floor(x / 6 / scale)],
          ]
          if (column < 5 && letter[5 * row + column] === '1') pixels[(top + y) * width + left + x] = 20
        }
      if (label === '180') pixels.reverse()
      for (let i = 0; i < pixels.length; i++) pixels[i] = Math.max(0, pixels[i] - whole(random, 20))
      const target = join(folder, split, label)
      mkdirSync(target, { recursive: true })
      await sharp(pixels, { raw: { width, height, channels: 1 } })
        .toColourspace('srgb')
        .png()
        .toFile(join(target, `${k}.png`))
    }
}
