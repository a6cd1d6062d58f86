// Mutated model files: whatever the bytes, reading ends soon, with a model or with a UserError in one line.
import { describe, expect, it } from 'vitest'
import { UserError } from '../../../src/core/errors.js'
import { readTrainableModel } from '../../../src/core/model/read.js'
import { type RandomStream, randomStream } from '../../../src/core/random.js'
import { smallFile } from '../../support/brokenModels.js'
import { onnx } from '../../support/models.js'

/** Reads; anything but success and a UserError in one line is told. */
function problemOf(bytes: Uint8Array): string | undefined {
  const started = performance.now()
  let message = ''
  try {
    const model = readTrainableModel(bytes)
    // What was read can be written as well.
    readTrainableModel(model.withState(model.state))
    model.inference(model.state)
  } catch (error) {
    if (!(error instanceof UserError)) return error instanceof Error ? `${error.stack}` : String(error)
    message = error.message
  }
  if (/\n/.test(message) || message.length > 1100) return `no line: ${message.slice(0, 200)}`
  const elapsed = performance.now() - started
  return elapsed > 3000 ? `took ${elapsed} ms` : undefined
}

const pick = <T>(random: RandomStream, from: readonly T[]): T => from[random.below(from.length)]!

/** Bits, bytes, gaps and repetitions anywhere in the file. */
const byteMutations: Readonly<Record<string, (random: RandomStream) => Uint8Array>> = {
  'bit flips'(random) {
    const bytes = smallFile.slice()
    for (let k = 1 + random.below(8); k > 0; k--) bytes[random.below(bytes.length)]! ^= 1 << random.below(8)
    return bytes
  },
  'a cut': (random) => smallFile.subarray(0, random.below(smallFile.length)),
  'a gap'(random) {
    const [from, length] = [random.below(smallFile.length), 1 + random.below(64)]
    return Buffer.concat([smallFile.subarray(0, from), smallFile.subarray(from + length)])
  },
  'a repetition'(random) {
    const [from, length] = [random.below(smallFile.length), 1 + random.below(512)]
    return Buffer.concat([smallFile.subarray(0, from + length), smallFile.subarray(from)])
  },
  'large numbers'(random) {
    const bytes = smallFile.slice()
    const at = random.below(bytes.length - 10)
    bytes.fill(0xff, at, at + 1 + random.below(9))
    return bytes
  },
}

type Message = Record<string, unknown>
const isMessage = (value: unknown): value is Message =>
  typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)

/** Every field of a message and of those inside, with its owner. */
function fields(message: Message, found: [Message, string][] = []): [Message, string][] {
  for (const [key, value] of Object.entries(message)) {
    found.push([message, key])
    for (const inner of Array.isArray(value) ? value : [value]) if (isMessage(inner)) fields(inner, found)
  }
  return found
}

const numbers = [0, 1, -1, 2, 7, 255, 2 ** 31, 2 ** 40, -(2 ** 40), 2 ** 53, 2 ** 62]
const texts = [
  '',
  'images',
  'x',
  '__proto__',
  'constructor',
  'Constant',
  'Reshape',
  'Slice',
  'Loop',
  '2*batch',
  '((',
  '-1',
]

/** Another value of the same kind in a field of the decoded file: well-formed bytes that say something else. */
function changed(random: RandomStream, value: unknown, like: readonly unknown[]): unknown {
  if (typeof value === 'number') return pick(random, numbers)
  if (typeof value === 'string')
    return random.below(2)
      ? pick(random, texts)
      : pick(
          random,
          like.filter((v) => typeof v === 'string'),
        )
  if (value instanceof Uint8Array) return value.subarray(0, random.below(value.length + 1))
  if (!Array.isArray(value)) return random.below(2) ? undefined : value
  const list = [...value]
  const at = random.below(list.length + 1)
  const action = random.below(4)
  if (action === 0) list.splice(at, 1)
  else if (action === 1) list.splice(at, 0, ...list.slice(0, 3))
  else if (action === 2) return []
  else if (list.length > 0 && typeof list[0] !== 'object') list[at % list.length] = changed(random, list[0], like)
  else list.reverse()
  return list
}

function mutated(random: RandomStream): Uint8Array {
  const model = onnx.ModelProto.toObject(onnx.ModelProto.decode(smallFile), { longs: Number })
  for (let k = 1 + random.below(3); k > 0; k--) {
    const all = fields(model)
    const like = all.map(([owner, key]) => owner[key])
    const [owner, key] = pick(random, all)
    const value = changed(random, owner[key], like)
    if (value === undefined) delete owner[key]
    else owner[key] = value
  }
  return onnx.ModelProto.encode(onnx.ModelProto.fromObject(model)).finish()
}

describe('a small file', () => {
  const problems = (count: number, make: (random: RandomStream) => Uint8Array, name: string) =>
    Array.from({ length: count }, (_, k) => {
      const problem = problemOf(make(randomStream(1, name, k)))
      return problem && `${name} ${k}: ${problem}`
    }).filter((problem) => problem !== undefined)

  it.each(Object.entries(byteMutations))('with %s', (name, make) => {
    expect(problems(40, make, name)).toEqual([])
  })
  it('with other values in its fields', () => {
    expect(problems(100, mutated, 'fields')).toEqual([])
  })
})

/** A length-delimited field of a message. */
function field(number: number, content: Uint8Array): Uint8Array {
  const head: number[] = []
  for (let rest of [number * 8 + 2, content.length]) {
    for (; rest > 127; rest = Math.floor(rest / 128)) head.push((rest % 128) + 128)
    head.push(rest)
  }
  return Buffer.concat([Uint8Array.from(head), content])
}
/** Messages within messages, by the numbers of the fields that hold them from the outside in, over and over. */
function nested(levels: number, ...numbers: readonly number[]): Uint8Array {
  let content: Uint8Array = new Uint8Array()
  for (let level = 0; level < levels; level++)
    for (const number of numbers.toReversed()) content = field(number, content)
  return content
}
const inGraph = (...parts: Uint8Array[]) => Buffer.concat([smallFile, field(7, Buffer.concat(parts))])

describe('a small file with something endless', () => {
  const levels = [20, 1000, 4000, 8000]
  it.each(levels)('%i graphs in attributes of nodes of graphs', (count) => {
    // GraphProto.node.attribute.g
    expect(problemOf(inGraph(nested(count, 1, 5, 6)))).toBeUndefined()
  })
  it.each(levels)('%i sequences of sequences as an input’s type', (count) => {
    // GraphProto.input.type, then TypeProto.sequence_type.elem_type
    expect(problemOf(inGraph(field(11, field(2, nested(count, 4, 1)))))).toBeUndefined()
  })
  it.each(levels)('%i sequences of sequences as the type of a value that nobody uses', (count) => {
    const { graph, ...rest } = onnx.ModelProto.decode(smallFile)
    // GraphProto.value_info.type
    const values = field(13, field(2, nested(count, 4, 1)))
    const whole = field(7, Buffer.concat([onnx.GraphProto.encode(graph!).finish(), values]))
    const bytes = Buffer.concat([onnx.ModelProto.encode(rest).finish(), whole])
    expect(problemOf(bytes)).toBeUndefined()
    if (count === 1000) {
      expect(() => readTrainableModel(bytes)).toThrow(/its messages nest more than 100 levels deep/)
    }
  })
  it.each(levels)('%i unknown groups', (count) => {
    expect(problemOf(Buffer.concat([smallFile, new Uint8Array(10 * count).fill((100 << 3) | 3)]))).toBeUndefined()
  })
  it('200,000 empty nodes, initializers, inputs, outputs', () => {
    for (const number of [1, 5, 11, 12]) {
      const one = field(number, new Uint8Array())
      expect(problemOf(inGraph(Buffer.alloc(200_000 * one.length, one)))).toBeUndefined()
    }
  })
  it('a tensor of a million dimensions', () => {
    const dims = new Uint8Array(1e6).fill(1)
    expect(problemOf(inGraph(field(5, field(1, dims))))).toBeUndefined()
    expect(problemOf(inGraph(field(5, Buffer.concat([Uint8Array.of(16, 1), field(1, dims)]))))).toBeUndefined()
  })
  it('a shape of a million dimensions', () => {
    const dim = field(1, Uint8Array.of(8, 2))
    const shape = field(2, Buffer.alloc(1e6 * dim.length, dim))
    const type = field(1, Buffer.concat([Uint8Array.of(8, 1), shape]))
    const info = Buffer.concat([field(1, Uint8Array.of(0x78)), field(2, type)])
    expect(problemOf(inGraph(field(11, info)))).toBeUndefined()
  })
  it('a length that no file has', () => {
    for (const length of [
      [0xff, 0xff, 0xff, 0x7f],
      [0xff, 0xff, 0xff, 0xff, 0x0f],
    ]) {
      expect(problemOf(Buffer.concat([smallFile, Uint8Array.of(0x3a, ...length)]))).toBeUndefined()
    }
  })
})
