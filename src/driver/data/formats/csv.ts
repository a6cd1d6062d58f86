// Reader for tables of text: a header with the names of the columns, then a line for each example. Columns of numbers become
// float32, columns of other text become labels, whose classes are the different texts.
// The files are untrusted: sizes are checked first, and what is not as expected is refused with its line and column.

import type { Info } from '#csv-parse'
import { messageOf, UserError } from '../../../core/errors.js'
import { type Column, type Split, shared } from '../dataset.js'
import { checkAlike, checkNoHoldOut, heldOut } from '../splits.js'
import { readRange } from './bytes.js'
import { type FileTree, findPair, maxBytes, sizeOf } from './fileTree.js'
import type { Reader } from './reader.js'

const extensions = ['.csv', '.tsv']
/** Most bytes of a line, and most different texts of a column. */
const maxRecord = 2 ** 24
const maxClasses = 2 ** 16

const isNumber = (text: string): boolean => /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)
/** How people write that they do not know. */
const isUnknown = (text: string): boolean => /^(n\/?a|nan|null|none|\?|-)$/i.test(text)

/** Numbers of a column, whose count is not known before. */
class Numbers<A extends Float32Array | Int32Array> {
  #data: A
  #length = 0

  constructor(private readonly make: (length: number) => A) {
    this.#data = make(1024)
  }

  push(value: number): void {
    if (this.#length === this.#data.length) {
      const more = this.make(2 * this.#length)
      more.set(this.#data)
      this.#data = more
    }
    this.#data[this.#length++] = value
  }

  get values(): A {
    return this.#data.subarray(0, this.#length) as A
  }
}

/** What a column holds: texts by their places in `texts`, in the order in which they first came. */
type Content =
  | { readonly kind: 'numbers'; readonly values: Float32Array }
  | { readonly kind: 'texts'; readonly values: Int32Array; readonly texts: readonly string[] }

/** Takes the cells of one column. Its first text says what it holds. */
class ColumnBuilder {
  #numbers: Numbers<Float32Array> | undefined
  #texts: Numbers<Int32Array> | undefined
  readonly #places = new Map<string, number>()
  /** Whether nothing came yet but `NA`, which is a text among texts and a gap among numbers. */
  #undecided = true

  constructor(private readonly fail: (line: number, what: string) => never) {}

  add(cell: string, line: number): void {
    if (cell === '') this.fail(line, 'is missing; expected a value in every line')
    if (this.#undecided && !isUnknown(cell)) {
      this.#undecided = false
      const [gap] = this.#places.keys()
      if (isNumber(cell)) {
        if (gap !== undefined)
          this.fail(
            line,
            `holds a number, and a line before it ${JSON.stringify(gap)}; expected a number in every line`,
          )
        this.#numbers = new Numbers((length) => new Float32Array(length))
      }
    }
    if (this.#numbers) this.#addNumber(this.#numbers, cell, line)
    else this.#addText(cell, line)
  }

  #addNumber(numbers: Numbers<Float32Array>, cell: string, line: number): void {
    const value = Math.fround(Number(cell))
    if (!isNumber(cell))
      this.fail(line, `is ${JSON.stringify(cell.slice(0, 40))}; expected a number, as in the lines before`)
    if (!Number.isFinite(value)) this.fail(line, `is ${cell.slice(0, 40)}, more than float32 holds`)
    numbers.push(value)
  }

  #addText(cell: string, line: number): void {
    let place = this.#places.get(cell)
    if (place === undefined) {
      place = this.#places.size
      if (place === maxClasses)
        this.fail(
          line,
          `is another text than the ${maxClasses} before; expected numbers, or names of classes: leave the column out`,
        )
      this.#places.set(cell, place)
    }
    this.#texts ??= new Numbers((length) => new Int32Array(length))
    this.#texts.push(place)
  }

  get content(): Content {
    if (this.#numbers) return { kind: 'numbers', values: this.#numbers.values }
    const values = this.#texts?.values ?? new Int32Array(0)
    return { kind: 'texts', values, texts: [...this.#places.keys()] }
  }
}

/** The character that parts the columns: of tab, comma and semicolon the one that the first line has most of. */
async function delimiterOf(files: FileTree, path: string): Promise<string> {
  const text = new TextDecoder().decode(await readRange(files, path, 0, 2 ** 16))
  const line = /^[^\r\n]*/.exec(text.replace(/"[^"]*"/g, ''))![0]
  const counts = ['\t', ',', ';'].map((delimiter) => ({ delimiter, count: line.split(delimiter).length }))
  return counts.reduce((most, each) => (each.count > most.count ? each : most)).delimiter
}

/** Text of a file: UTF-8, or UTF-16 where the file says so at its beginning, as spreadsheets do. */
async function* textOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  let decoder: InstanceType<typeof TextDecoder> | undefined
  for await (const piece of pieces) {
    decoder ??= new TextDecoder(piece[0] === 0xff && piece[1] === 0xfe ? 'utf-16le' : 'utf-8')
    yield decoder.decode(piece, { stream: true })
  }
  if (decoder) yield decoder.decode()
}

interface Line {
  readonly info: Info
  readonly record: string[]
}

/** The lines of a table, some thousands at a time. */
async function* linesOf(text: AsyncIterable<string>, delimiter: string): AsyncGenerator<readonly Line[], void> {
  // Loaded where there is a table: in a page it is large.
  const { parse } = await import('#csv-parse')
  const parser = parse({
    delimiter,
    info: true,
    trim: true,
    skip_empty_lines: true,
    // Told apart by the reader, with a message of its own.
    relax_column_count: true,
    max_record_size: maxRecord,
  })
  let lines: Line[] = []
  parser.on('data', (line: Line) => lines.push(line))
  const failure = new Promise<never>((_, reject) => parser.on('error', reject))
  const end = new Promise<void>((resolve) => parser.on('end', resolve))
  // It is told where it is waited for.
  failure.catch(() => {})
  const taken = () => {
    const all = lines
    lines = []
    return all
  }
  for await (const piece of text) {
    await Promise.race([failure, new Promise<void>((resolve) => parser.write(piece, () => resolve()))])
    yield taken()
  }
  parser.end()
  await Promise.race([failure, end])
  yield taken()
}

interface Table {
  readonly path: string
  readonly count: number
  readonly columns: ReadonlyMap<string, Content>
}

function readHeader(path: string, names: readonly string[]): readonly string[] {
  if (names.every(isNumber)) throw new UserError(`${path}: line 1 holds numbers; expected the names of the columns`)
  names.forEach((name, i) => {
    if (name === '')
      throw new UserError(
        `${path}: line 1 has no name for column ${i + 1}; expected one for each (an index that pandas wrote is left out by index=False)`,
      )
    if (names.indexOf(name) < i)
      throw new UserError(`${path}: line 1 names two columns '${name}'; expected a name of its own for each`)
  })
  return names
}

async function readTable(files: FileTree, path: string): Promise<Table> {
  const size = (await sizeOf(files, path)) ?? 0
  if (size > maxBytes) throw new UserError(`${path}: has ${size} bytes; at most ${maxBytes} are read into memory`)
  let names: readonly string[] | undefined
  let builders: ColumnBuilder[] = []
  let count = 0
  const take = ({ info, record }: Line): void => {
    if (!names) {
      names = readHeader(path, record)
      builders = names.map(
        (name) =>
          new ColumnBuilder((line, what) => {
            throw new UserError(`${path}: line ${line}, column '${name}': ${what}`)
          }),
      )
      return
    }
    if (record.length !== names.length)
      throw new UserError(
        `${path}: line ${info.lines} has ${record.length} values; expected ${names.length}, one for each column`,
      )
    for (let i = 0; i < builders.length; i++) builders[i]!.add(record[i]!, info.lines)
    count++
  }
  try {
    const text = textOf(files.bytes(path))
    for await (const lines of linesOf(text, await delimiterOf(files, path))) lines.forEach(take)
  } catch (error) {
    if (error instanceof UserError) throw error
    const where =
      error instanceof Error && 'lines' in error && typeof error.lines === 'number' ? `line ${error.lines}: ` : ''
    throw new UserError(`${path}: ${where}cannot be read: ${messageOf(error)}`)
  }
  if (!names) throw new UserError(`${path}: is empty; expected a line with the names of the columns`)
  if (count === 0) throw new UserError(`${path}: has names of columns, but no examples`)
  return { path, count, columns: new Map(names.map((name, i) => [name, builders[i]!.content])) }
}

/** All texts of a column, sorted: the classes of its labels. */
const classesOf = (tables: readonly Table[], name: string): readonly string[] =>
  [
    ...new Set(
      tables.flatMap(({ columns }) => {
        const content = columns.get(name)
        return content?.kind === 'texts' ? content.texts : []
      }),
    ),
  ].sort()

function columnOf(content: Content, classes: readonly string[]): Column {
  const { length } = content.values
  if (content.kind === 'numbers') {
    const data = shared('float32', length)
    data.set(content.values)
    return { kind: 'tensor', dtype: 'float32', shape: [], data }
  }
  const dtype = classes.length > 256 ? 'int32' : 'uint8'
  const place = new Map(classes.map((name, i) => [name, i]))
  const labels = content.texts.map((text) => place.get(text)!)
  const data = shared(dtype, length)
  for (let i = 0; i < length; i++) data[i] = labels[content.values[i]!]!
  return { kind: 'tensor', dtype, shape: [], data, classes }
}

/** Tables of the same columns as splits, whose labels have the same classes. */
function splitsOf(tables: readonly Table[]): Split[] {
  return tables.map(({ path, count, columns }) => ({
    count,
    columns: Object.fromEntries(
      [...columns].map(([name, content]) => {
        const other = tables.find((table) => table.columns.get(name) && table.columns.get(name)!.kind !== content.kind)
        if (other)
          throw new UserError(`${path}: the column '${name}' holds ${content.kind}; in ${other.path} it does not`)
        return [name, columnOf(content, classesOf(tables, name))]
      }),
    ),
  }))
}

export const csvReader: Reader = {
  format: 'csv',
  looksFor: 'a table with a header (.csv, .tsv), or train.csv and test.csv',
  recognizes: async (files, path) => (await findPair(files, path, extensions)) !== undefined,
  async read(files, path, options) {
    const found = (await findPair(files, path, extensions))!
    if ('file' in found) return heldOut('csv', path, splitsOf([await readTable(files, found.file)])[0]!, options)
    checkNoHoldOut(path, options)
    const [train, test] = splitsOf([await readTable(files, found.train), await readTable(files, found.test)]) as [
      Split,
      Split,
    ]
    checkAlike([found.train, found.test], train, test)
    return { format: 'csv', train, test }
  },
}
