// The reader for NumPy's arrays, of files that NumPy 2.4 wrote (numpy/*.npz) and of damaged and hostile ones.
import { copyFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { deflateRawSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { tensor } from '../../../src/core/graph/tensor.js'
import type { Column, Dataset } from '../../../src/driver/data/dataset.js'
import { readDataset } from '../../../src/driver/data/readers.js'
import { encodeSafetensors } from '../../../src/driver/run/safetensors.js'
import { npy, npyHeader, refusal, temporaryFolder, zip } from './support.js'

const fixture = (name: string) => fileURLToPath(new URL(`numpy/${name}.npz`, import.meta.url))

const valuesOf = (column: Column | undefined) =>
  column?.kind === 'tensor' ? Array.from(column.data as Float32Array) : []
/** The rows of both splits, as often as they come. */
const rowsOf = ({ train, test }: Dataset, name: string) =>
  [train, test].flatMap(({ columns }) => valuesOf(columns[name]).map(Number)).sort((a, b) => a - b)

const bytes = (...values: number[]) => npy(npyHeader("'|u1'", `${values.length},`), Uint8Array.from(values))

function file(content: Uint8Array, name = 'data.npz', dir = temporaryFolder()): string {
  writeFileSync(join(dir, name), content)
  return join(dir, name)
}

describe('files that NumPy wrote', () => {
  test('every type, both byte orders and both orders of axes', async () => {
    const data = await readDataset(fixture('types'), { holdOut: 0.25 })
    const { columns } = data.train
    expect(
      Object.fromEntries(Object.entries(columns).map(([name, { dtype, shape }]) => [name, `${dtype} [${shape}]`])),
    ).toEqual({
      c_uint8: 'uint8 []',
      c_int8: 'int32 []',
      c_int16: 'int32 []',
      c_uint16: 'int32 []',
      c_int32: 'int32 []',
      c_uint32: 'int64 []',
      c_int64: 'int64 []',
      c_float16: 'float16 []',
      c_float32: 'float32 []',
      c_float64: 'float64 []',
      c_bool: 'bool []',
      big: 'float32 []',
      bigint: 'int32 []',
      fortran: 'float32 [3,2]',
    })
    const whole = [0, 1, 2, 200]
    for (const name of ['c_uint8', 'c_int16', 'c_uint16', 'c_int32', 'c_uint32', 'c_int64', 'c_float32', 'c_float64'])
      expect(rowsOf(data, name), name).toEqual(whole)
    expect(rowsOf(data, 'c_int8')).toEqual([-3, 0, 1, 2])
    // The bits of half precision.
    expect(rowsOf(data, 'c_float16')).toEqual([0, 0x3c00, 0x4000, 0x5a40])
    expect(rowsOf(data, 'c_bool')).toEqual([0, 1, 1, 1])
    expect(rowsOf(data, 'big')).toEqual([-1.5, 1, 2, 3])
    expect(rowsOf(data, 'bigint')).toEqual([-2, 1, 3, 70000])
    expect(rowsOf(data, 'fortran')).toEqual(Array.from({ length: 24 }, (_, i) => i))
    const row = valuesOf(columns.fortran).slice(0, 6)
    expect(row).toEqual(Array.from({ length: 6 }, (_, i) => row[0]! + i))
  })
  test('names say the split', async () => {
    const { format, train, test, heldOut } = await readDataset(fixture('splits'))
    expect({ format, counts: [train.count, test.count], heldOut }).toEqual({
      format: 'npz',
      counts: [6, 3],
      heldOut: undefined,
    })
    expect(train.columns).toMatchObject({ x: { dtype: 'float32', shape: [2] }, y: { dtype: 'int64', shape: [] } })
    expect(valuesOf(test.columns.x)).toEqual([1, 1, 1, 1, 1, 1])
  })
  test('train.npz and test.npz', async () => {
    const dir = temporaryFolder()
    copyFileSync(fixture('types'), join(dir, 'train.npz'))
    copyFileSync(fixture('types'), join(dir, 'test.npz'))
    expect(await readDataset(dir)).toMatchObject({ format: 'npz', train: { count: 4 }, test: { count: 4 } })
  })
  test.each([
    ['objects', '"o.npy": holds Python objects, which are never read; save an array of numbers'],
    ['others', `"s.npy": holds '<U2'; expected numbers of at most 8 bytes: float, int, uint8 to uint32 or bool`],
    ['complex', `"s.npy": holds '<c16'; expected numbers of at most 8 bytes: float, int, uint8 to uint32 or bool`],
    ['records', '"s.npy": holds records of several fields; expected an array of numbers'],
  ])('%s are refused', async (name, message) => {
    expect(await refusal(readDataset(fixture(name)))).toBe(`UserError: ${fixture(name)}: ${message}`)
  })
})

describe('.npy files', () => {
  test('a folder of them, and one alone', async () => {
    const dir = temporaryFolder()
    const floats = new Uint8Array(Float32Array.from([1, 2, 3]).buffer)
    file(npy(npyHeader("'<f4'", '3,'), floats), 'x.npy', dir)
    const path = file(bytes(7, 8, 9), 'y.npy', dir)
    const data = await readDataset(dir)
    expect({ format: data.format, x: rowsOf(data, 'x'), y: rowsOf(data, 'y') }).toEqual({
      format: 'npy',
      x: [1, 2, 3],
      y: [7, 8, 9],
    })
    expect(rowsOf(await readDataset(path), 'y')).toEqual([7, 8, 9])
  })
  test.each([
    ['another length', bytes(1, 2), "'y' has 2 rows, 'x' has 3; expected one for each example"],
    [
      'a single number',
      npy(npyHeader("'|u1'", ''), Uint8Array.of(1)),
      "'y' is a single number; expected an array with a row for each example",
    ],
    ['no array', Buffer.from('hello, world'), 'y.npy: is damaged or no array of NumPy: it does not begin as one'],
    ['nothing', Buffer.alloc(0), 'y.npy: is damaged or no array of NumPy: it ends too early'],
    [
      'fewer bytes',
      bytes(1, 2, 3).subarray(0, -1),
      /its header says \[3\] of 1 bytes each, which its \d+ bytes are not$/,
    ],
    [
      'a header of gigabytes',
      npy(npyHeader("'<f8'", '1000000000, 1000000000'), new Uint8Array(8)),
      /which its \d+ bytes are not$/,
    ],
    [
      'a size that is none',
      npy(npyHeader("'<f8'", '99999999999999999999, 0'), new Uint8Array(0)),
      /its header says \[100000000000000000000, 0\]$/,
    ],
    ['a header that says nothing', npy('{}', new Uint8Array(0)), /its header does not say order and shape$/],
    ['a header without end', npy('', new Uint8Array(4)).fill(255, 8), /it ends too early$/],
  ])('%s', async (_, content, message) => {
    const dir = temporaryFolder()
    file(bytes(1, 2, 3), 'x.npy', dir)
    file(content, 'y.npy', dir)
    const said = (await refusal(readDataset(dir))).replaceAll(`${dir}/`, '').replaceAll(`${dir}: `, '')
    if (message instanceof RegExp) expect(said).toMatch(message)
    else expect(said).toBe(`UserError: ${message}`)
  })
})

describe('archives that are refused', () => {
  const x = { name: 'x.npy', content: bytes(1, 2, 3) }
  const zeros = npy(npyHeader("'|u1'", `${2 ** 20},`), new Uint8Array(2 ** 20))
  test('first: an honest one is read', async () => {
    expect(rowsOf(await readDataset(file(zip(x))), 'x')).toEqual([1, 2, 3])
  })
  test.each([
    ['no archive', Buffer.from('PK no'), /: is damaged or no \.npz file: /],
    ['an empty one', zip(), /: holds no arrays$/],
    ['one cut off', zip(x).subarray(0, -30), /: is damaged or no \.npz file: /],
    ['another file in it', zip({ ...x, name: 'x.pkl' }), /: "x\.pkl": is no array; expected names that end in \.npy$/],
    [
      'a path that leads elsewhere',
      zip({ ...x, name: '../x.npy' }),
      /: is damaged or no \.npz file: invalid relative path/,
    ],
    ['an array twice', zip(x, x), /: "x\.npy": is there twice$/],
    ['another checksum', zip({ ...x, checksum: 1 }), /: its checksum is wrong$/],
    ['more than it says', zip({ ...x, size: x.content.length - 1 }), /too many bytes in the stream/],
    ['a bomb that says less than it is', zip({ ...x, packed: deflateRawSync(zeros) }), /too many bytes in the stream/],
    [
      'a bomb that says so',
      zip({ ...x, size: 2 ** 31 }),
      /says that its \d+ bytes unpack to 2147483648; that is too much$/,
    ],
    [
      'a small one of much',
      zip({ ...x, size: 2 ** 29 }),
      /says that its \d+ bytes unpack to 536870912; that is too much$/,
    ],
  ])('%s', async (_, content, message) => {
    expect(await refusal(readDataset(file(content)))).toMatch(message)
  })
  test('arrays that are too much together', async () => {
    // Sparse: nothing of it is written, and what is too much is refused before it is read.
    const dir = temporaryFolder()
    for (const name of ['a', 'b', 'c']) {
      const half = npy(npyHeader("'|u1'", `${2 ** 29},`), new Uint8Array(0))
      truncateSync(file(half, `${name}.npy`, dir), half.length + 2 ** 29)
    }
    expect(await refusal(readDataset(dir))).toMatch(/c\.npy: brings the arrays to more than 1073741824 bytes/)
  })
})

describe('safetensors', () => {
  const one = (names: readonly [string, string], count = 5) =>
    encodeSafetensors({
      tensors: {
        [names[0]]: tensor(
          'float32',
          [count, 2],
          Array.from({ length: 2 * count }, (_, i) => i),
        ),
        [names[1]]: tensor(
          'int64',
          [count],
          Array.from({ length: count }, (_, i) => i),
        ),
      },
      metadata: {},
    })
  test('one file, of which a part is held out', async () => {
    const data = await readDataset(file(one(['x', 'y']), 'data.safetensors'))
    expect(data).toMatchObject({ format: 'safetensors', train: { count: 4 }, test: { count: 1 }, heldOut: 0.2 })
    expect(rowsOf(data, 'y')).toEqual([0, 1, 2, 3, 4])
  })
  test('two files', async () => {
    const dir = temporaryFolder()
    file(one(['x', 'y']), 'train.safetensors', dir)
    file(one(['x', 'y'], 2), 'test.safetensors', dir)
    expect(await readDataset(dir)).toMatchObject({ train: { count: 5 }, test: { count: 2 } })
  })
  test('what is none, and names that mix', async () => {
    expect(await refusal(readDataset(file(Buffer.from('no'), 'data.safetensors')))).toMatch(
      /is damaged or no safetensors file: it has 2 bytes/,
    )
    const tensors = {
      x: tensor('uint8', [1], [1]),
      train_y: tensor('uint8', [1], [1]),
      y_test: tensor('uint8', [1], [1]),
    }
    const mixed = file(encodeSafetensors({ tensors, metadata: {} }), 'data.safetensors')
    expect(await refusal(readDataset(mixed))).toBe(
      `UserError: ${mixed}: 'x' belongs to no split; expected names such as train_x and test_x, as others have`,
    )
  })
})
