// The reader for tables of text: what becomes of them, and what is refused with its line and column.
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readDataset } from '../../../src/driver/data/readers.js'
import { columnStatistics } from '../../../src/driver/data/statistics.js'
import { refusal, temporaryFolder } from './support.js'

/** A file of this text. */
function file(text: string, name = 'data.csv', dir = temporaryFolder()): string {
  writeFileSync(join(dir, name), text)
  return join(dir, name)
}

const flowers = `length,width,species
1.5,0.2,setosa
4.5,1.5,versicolor
6,2.5,virginica
1.4,.2,setosa
-4e0,1.3,versicolor
`

/** A column of all examples of both splits, sorted. */
async function everything(path: string, name: string): Promise<readonly number[]> {
  const { train, test } = await readDataset(path)
  return [train, test]
    .flatMap(({ columns }) => {
      const column = columns[name]
      return column?.kind === 'tensor' ? Array.from(column.data as Float32Array) : []
    })
    .sort((a, b) => a - b)
}

describe('reading', () => {
  test('numbers are float32, other text is labels with sorted classes; a fifth is held out', async () => {
    const path = file(flowers)
    const { format, train, test, heldOut } = await readDataset(path)
    expect({ format, heldOut, counts: [train.count, test.count] }).toEqual({
      format: 'csv',
      heldOut: 0.2,
      counts: [4, 1],
    })
    expect(train.columns).toMatchObject({
      length: { kind: 'tensor', dtype: 'float32', shape: [] },
      width: { dtype: 'float32' },
      species: { dtype: 'uint8', shape: [], classes: ['setosa', 'versicolor', 'virginica'] },
    })
    expect(await everything(path, 'length')).toEqual([-4, 1.4, 1.5, 4.5, 6].map(Math.fround))
    expect(await everything(path, 'species')).toEqual([0, 0, 1, 1, 2])
  })
  test('UTF-16, as spreadsheets write it', async () => {
    const dir = temporaryFolder()
    for (const name of ['train.csv', 'test.csv'])
      writeFileSync(join(dir, name), Buffer.from('\uFEFFa\tkïnd\r\n1\tx\r\n2\tü\r\n', 'utf16le'))
    const { train } = await readDataset(dir)
    expect(train.columns.a).toMatchObject({ data: Float32Array.of(1, 2) })
    expect(train.columns.kïnd).toMatchObject({ classes: ['x', 'ü'], data: Uint8Array.of(0, 1) })
  })
  test('rows stay together and in their order; another seed or part holds out others', async () => {
    const rows = Array.from({ length: 50 }, (_, i) => `${i},${i * 2},${i % 2 ? 'odd' : 'even'}`)
    const path = file(['a,b,parity', ...rows].join('\r\n'))
    const numbers = (column: unknown) => Array.from((column as { data: Float32Array }).data)
    const { train, test } = await readDataset(path, { holdOut: 0.3, seed: 4 })
    for (const { columns, count } of [train, test]) {
      const a = numbers(columns.a)
      expect(a).toEqual([...a].sort((x, y) => x - y))
      expect(numbers(columns.b)).toEqual(a.map((value) => 2 * value))
      expect(numbers(columns.parity)).toEqual(a.map((value) => value % 2))
      expect(a).toHaveLength(count)
    }
    expect(test.count).toBe(15)
    expect(numbers((await readDataset(path, { holdOut: 0.3, seed: 4 })).test.columns.a)).toEqual(
      numbers(test.columns.a),
    )
    expect(numbers((await readDataset(path, { holdOut: 0.3 })).test.columns.a)).not.toEqual(numbers(test.columns.a))
  })
  test.each([
    ['semicolons', 'a;"b;c"\n1;2\n3;4\n'],
    ['tabs', 'a\tb;c\n1\t2\n3\t4\n'],
    ['a byte order mark, quotes, blanks and empty lines', '\uFEFFa, b;c\n\n"1", 2\n3,4\n\n'],
  ])('%s', async (_, text) => {
    expect(await everything(file(text), 'b;c')).toEqual([2, 4])
  })
  test('train.csv and test.csv; the classes are those of both', async () => {
    const dir = temporaryFolder()
    file('x,kind\n1,b\n2,a\n', 'train.csv', dir)
    file('x,kind\n3,c\n', 'test.csv', dir)
    const { train, test, heldOut } = await readDataset(dir)
    expect({ counts: [train.count, test.count], heldOut }).toEqual({ counts: [2, 1], heldOut: undefined })
    expect(train.columns.kind).toMatchObject({ classes: ['a', 'b', 'c'], data: Uint8Array.from([1, 0]) })
    expect(test.columns.kind).toMatchObject({ data: Uint8Array.from([2]) })
  })
  test('NA is a text among texts, and many classes are int32', async () => {
    expect((await readDataset(file('a\nNA\nyes\nno\n'))).train.columns.a).toMatchObject({
      classes: ['NA', 'no', 'yes'],
    })
    const many = Array.from({ length: 300 }, (_, i) => `c${i}`)
    expect((await readDataset(file(['a', ...many].join('\n')))).train.columns.a).toMatchObject({ dtype: 'int32' })
  })
})

describe('refusals name the file, the line and the column', () => {
  test.each([
    ['nothing', '', 'is empty; expected a line with the names of the columns'],
    ['a header alone', 'a,b\n', 'has names of columns, but no examples'],
    ['one example', 'a\n1\n', /has 1 examples, too few to hold out 0.2 of them as a test set/],
    ['no header', '1,2\n3,4\n', 'line 1 holds numbers; expected the names of the columns'],
    ['a name twice', 'a,b,a\n1,2,3\n', "line 1 names two columns 'a'; expected a name of its own for each"],
    [
      'an index of pandas',
      ',a\n0,1\n',
      'line 1 has no name for column 1; expected one for each (an index that pandas wrote is left out by index=False)',
    ],
    ['a gap', 'a,b\n1,2\n3,\n', "line 3, column 'b': is missing; expected a value in every line"],
    [
      'text among numbers',
      'a,b\n1,2\n3,x\n',
      'line 3, column \'b\': is "x"; expected a number, as in the lines before',
    ],
    ['NaN among numbers', 'a\n1\nnan\n', 'line 3, column \'a\': is "nan"; expected a number, as in the lines before'],
    [
      'an unknown before the numbers',
      'a\nNA\n1\n',
      'line 3, column \'a\': holds a number, and a line before it "NA"; expected a number in every line',
    ],
    ['a number that float32 does not hold', 'a\n1\n1e39\n', "line 3, column 'a': is 1e39, more than float32 holds"],
    ['hexadecimal', 'a\n1\n0x10\n', 'line 3, column \'a\': is "0x10"; expected a number, as in the lines before'],
    ['a short line', 'a,b\n1,2\n\n3\n', 'line 4 has 1 values; expected 2, one for each column'],
    ['a long line', 'a,b\n1,2,3\n', 'line 2 has 3 values; expected 2, one for each column'],
    ['a quote that does not end', 'a,b\n1,"2\n3,4\n', /line \d+: cannot be read: Quote Not Closed/],
    ['a line without end', `a\n${'x'.repeat(2 ** 24 + 10)}`, /cannot be read: Max Record Size/],
    [
      'texts that are no classes',
      `a\n${Array.from({ length: 70_000 }, (_, i) => `name${i}`).join('\n')}`,
      /line 65538, column 'a': is another text than the 65536 before/,
    ],
  ])('%s', async (_, text, message) => {
    const path = file(text)
    const said = (await refusal(readDataset(path))).replace(`${path}: `, '')
    if (message instanceof RegExp) expect(said).toMatch(message)
    else expect(said).toBe(`UserError: ${message}`)
  })
  test('a file that is too large is not read', async () => {
    const path = file('a\n1\n')
    truncateSync(path, 2 ** 30 + 1)
    expect(await refusal(readDataset(path))).toBe(
      `UserError: ${path}: has 1073741825 bytes; at most 1073741824 are read into memory`,
    )
  })
  test('sets that differ, and a folder with one of them', async () => {
    const both = (train: string, other: string | undefined) => {
      const dir = temporaryFolder()
      mkdirSync(dir, { recursive: true })
      file(train, 'train.csv', dir)
      if (other !== undefined) file(other, 'test.csv', dir)
      return dir
    }
    const said = async (train: string, other?: string, options = {}) => {
      const dir = both(train, other)
      return (await refusal(readDataset(dir, options))).replaceAll(`${dir}/`, '').replaceAll(dir, 'DIR')
    }
    expect(await said('a,b\n1,2\n', 'a\n1\n')).toBe("UserError: test.csv: has no column 'b', which train.csv has")
    expect(await said('a\n1\n', 'a,b\n1,2\n')).toBe("UserError: train.csv: has no column 'b', which test.csv has")
    expect(await said('a\n1\n', 'a\nx\n')).toBe(
      "UserError: train.csv: the column 'a' holds numbers; in test.csv it does not",
    )
    expect(await said('a\n1\n')).toBe(
      'UserError: DIR: has train.csv, but no test.csv; name train.csv itself to hold out a part of it',
    )
    expect(await said('a\n1\n', 'a\n1\n', { holdOut: 0.1 })).toBe(
      'UserError: DIR: has a test set already: leave out --hold-out',
    )
  })
})

describe('columnStatistics', () => {
  test('mean and standard deviation of the population, 1 for what never changes', async () => {
    const dir = temporaryFolder()
    file('a,b,c\n1,5,10\n2,5,20\n6,5,60\n', 'train.csv', dir)
    file('a,b,c\n100,0,0\n', 'test.csv', dir)
    const { train } = await readDataset(dir)
    expect(columnStatistics(train, 'a')).toEqual({ mean: [3], std: [Math.sqrt(14 / 3)] })
    expect(columnStatistics(train, ['b', 'c'])).toEqual({ mean: [5, 30], std: [1, Math.sqrt(1400 / 3)] })
    expect(() => columnStatistics(train, 'd')).toThrow("the data have no column 'd'; they have 'a', 'b', 'c'")
  })
  test('a column of several features', () => {
    const data = Float32Array.from([1, 10, 3, 30])
    const split = { count: 2, columns: { x: { kind: 'tensor', dtype: 'float32', shape: [2], data } } } as const
    expect(columnStatistics(split, 'x')).toEqual({ mean: [2, 20], std: [1, 10] })
  })
})
