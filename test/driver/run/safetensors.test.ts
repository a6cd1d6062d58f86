// The safetensors format: round trips, its layout, and files that are not what they seem.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Tensors } from '../../../src/core/graph/tensor.js'
import { decodeSafetensors, encodeSafetensors } from '../../../src/driver/run/safetensors.js'
import { readMetadataOf } from '../../../src/driver/run/safetensorsHeader.js'

const tensors: Tensors = {
  bytes: { dtype: 'uint8', shape: [3], data: Uint8Array.of(1, 2, 3) },
  scalar: { dtype: 'float32', shape: [], data: Float32Array.of(Math.PI) },
  matrix: { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, -0, Infinity, NaN) },
  wide: { dtype: 'float64', shape: [1], data: Float64Array.of(1 / 3) },
  long: { dtype: 'int64', shape: [2], data: BigInt64Array.of(-(2n ** 63n), 7n) },
  int: { dtype: 'int32', shape: [1], data: Int32Array.of(-5) },
  flags: { dtype: 'bool', shape: [2], data: Uint8Array.of(0, 1) },
  none: { dtype: 'float32', shape: [0, 4], data: new Float32Array(0) },
}
const metadata = { note: 'a "quoted" ü' }

/** A file with this header and so many bytes of data. */
function fileOf(header: unknown, dataBytes: number): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const file = Buffer.alloc(8 + text.length + dataBytes)
  file.writeBigUInt64LE(BigInt(text.length))
  text.copy(file, 8)
  return file
}
const entry = (dtype: string, shape: number[], begin: number, end: number) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
})

describe('a file', () => {
  it('gives back what was written', () => {
    expect(decodeSafetensors(encodeSafetensors({ tensors, metadata }), 'x')).toEqual({ tensors, metadata })
  })

  it('may have a tensor called as its header calls its metadata', () => {
    const odd = Object.fromEntries(['__metadata__', '__metadata__.', 'w'].map((name) => [name, tensors.scalar!]))
    const file = encodeSafetensors({ tensors: odd, metadata })
    expect(decodeSafetensors(file, 'x')).toEqual({ tensors: odd, metadata })
  })

  it('does not depend on the order of the tensors', () => {
    const turned = Object.fromEntries(Object.entries(tensors).reverse())
    expect(encodeSafetensors({ tensors: turned, metadata })).toEqual(encodeSafetensors({ tensors, metadata }))
  })

  it('aligns the data to 8 bytes', () => {
    const file = Buffer.from(encodeSafetensors({ tensors, metadata }))
    const header = Number(file.readBigUInt64LE())
    expect(header % 8).toBe(0)
    expect(file.readDoubleLE(8 + header + 16)).toBe(1 / 3)
    expect(file.toString('utf8', 8, 24)).toBe('{"__metadata__":')
  })

  it('may stand anywhere in memory', () => {
    const file = encodeSafetensors({ tensors, metadata })
    const shifted = new Uint8Array(file.length + 3)
    shifted.set(file, 3)
    expect(decodeSafetensors(shifted.subarray(3), 'x').tensors).toEqual(tensors)
  })
})

describe('a file that is refused', () => {
  const whole = encodeSafetensors({ tensors, metadata })
  it.each<[string, Uint8Array, string]>([
    ['too short', new Uint8Array(5), 'it has 5 bytes, fewer than the 8 that hold the length of the header'],
    ['cut in the header', whole.subarray(0, 60), 'does not fit a file of 60'],
    ['cut in the data', whole.subarray(0, whole.length - 1), 'the file has'],
    [
      'with a huge header',
      Buffer.from('ffffffffffffff7f00', 'hex'),
      'a header of 9223372036854776000 bytes does not fit',
    ],
    ['whose header is no JSON', fileOf('{"a":', 0), 'its header is not JSON ('],
    ['whose header is no UTF-8', Buffer.from('0200000000000000ffff', 'hex'), 'its header is not JSON ('],
    ['whose header is a list', fileOf([], 0), 'its header is not a JSON object'],
    ['with numbers as metadata', fileOf({ __metadata__: { a: 1 } }, 0), 'its metadata is not a map of strings'],
    ['with a malformed entry', fileOf({ a: { dtype: 'F32' } }, 0), 'the header\'s entry of tensor "a" is malformed'],
    [
      'with a negative size',
      fileOf({ a: entry('F32', [-1], 0, 4) }, 4),
      'the header\'s entry of tensor "a" is malformed',
    ],
    ['with an unknown type', fileOf({ a: entry('Q4', [1], 0, 4) }, 4), '"a" has the unknown type Q4'],
    [
      'with a type of Object',
      fileOf({ a: entry('constructor', [1], 0, 4) }, 4),
      '"a" has the unknown type constructor',
    ],
    [
      'with a shape that needs more',
      fileOf({ a: entry('F32', [2], 0, 4) }, 4),
      '"a" takes 4 bytes, but F32 [2] needs 8',
    ],
    [
      'with a shape beyond all numbers',
      fileOf({ a: entry('F32', [2 ** 50, 2 ** 50], 0, 4) }, 4),
      '"a" takes 4 bytes, but',
    ],
    ['with offsets turned around', fileOf({ a: entry('F32', [1], 4, 0) }, 4), '"a" takes -4 bytes'],
    [
      'with a hole',
      fileOf({ a: entry('U8', [1], 0, 1), b: entry('U8', [1], 2, 3) }, 3),
      'the data of "b" start at 2, expected 1',
    ],
    [
      'with an overlap',
      fileOf({ a: entry('U8', [2], 0, 2), b: entry('U8', [2], 1, 3) }, 3),
      'the data of "b" start at 1, expected 2',
    ],
    ['with data beyond the end', fileOf({ a: entry('U8', [9], 0, 9) }, 3), 'its tensors take 9 bytes, the file has 3'],
    ['with data left over', fileOf({ a: entry('U8', [1], 0, 1) }, 3), 'its tensors take 1 bytes, the file has 3'],
  ])('is one %s', (_, file, message) => {
    expect(() => decodeSafetensors(file, 'x.safetensors')).toThrow('x.safetensors is damaged or no safetensors file: ')
    expect(() => decodeSafetensors(file, 'x.safetensors')).toThrow(message)
  })

  it('does not let a name reach the prototype', () => {
    const file = fileOf('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1)
    const read = decodeSafetensors(file, 'x').tensors
    expect(Object.keys(read)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype)
  })
})

it('gives its metadata without its tensors', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-safetensors-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'x.safetensors')
  const read = (file: Uint8Array) => {
    writeFileSync(path, file)
    return readMetadataOf(path)
  }
  const file = encodeSafetensors({ tensors, metadata: { answer: '42' } })
  expect(await read(file)).toEqual({ answer: '42' })
  expect(await read(fileOf('{}', 0))).toEqual({})
  const damaged = `${path} is damaged or no safetensors file: `
  await expect(read(file.subarray(0, 7))).rejects.toThrow(`${damaged}it ends within its header`)
  await expect(read(file.subarray(0, 20))).rejects.toThrow(/: a header of \d+ bytes does not fit a file of 20$/)
  await expect(read(fileOf('{"__metadata__":{"a":1}}', 0))).rejects.toThrow(`${damaged}its metadata is not a map`)
  await expect(read(fileOf('no', 0))).rejects.toThrow(`${damaged}its header is not JSON`)
  await expect(readMetadataOf(join(folder, 'none'))).rejects.toThrow('ENOENT')
})
