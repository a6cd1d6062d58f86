// Which columns of a data set feed which input of a step: by name, by what the user says, or because only they fit. What does not
// fit is said before anything is trained.

import { UserError } from '../../core/errors.js'
import { isKnown, type Shape } from '../../core/graph/shape.js'
import { type DType, elementsOf, isFloat, type Tensor, tensor, widen } from '../../core/graph/tensor.js'
import { formatType } from '../../core/graph/value.js'
import type { StepSignature, TargetInfo } from '../../core/training/signature.js'
import { type Column, type Split, shared, type TensorColumn } from './dataset.js'

/** An input, or a target, and what feeds it. */
export interface Binding {
  readonly input: TargetInfo
  /** The name of the column. */
  readonly column: string
}

/**
 * Input → column, where they are not called alike; `a,b,c`: the numbers of several columns, one after the other; `*`: all columns
 * of a number an example that feed nothing else.
 */
export type InputColumns = Readonly<Record<string, string>>

/** What feeds the inputs. */
export interface Bound<Name extends string> {
  readonly bindings: readonly Binding[]
  /** The splits as the bindings mean them: a column for each input, called after it. */
  readonly splits: Readonly<Record<Name, Split>>
}

/** Sizes but for those of 1: [1, 28, 28] and [28, 28] hold the same numbers in the same order. */
const withoutOnes = (shape: Shape) => shape.filter((dim) => dim !== 1)

function fitsShape(shape: Shape, wanted: Shape): boolean {
  const [own, expected] = [withoutOnes(shape), withoutOnes(wanted)]
  return own.length === expected.length && expected.every((dim, i) => !isKnown(dim) || dim === own[i])
}

const isWhole = (dtype: DType): boolean => !isFloat(dtype)

/** Whether numbers of a column may be fed as another type: whole numbers as wider ones, and for targets as floats; floats as floats. */
function fitsType(from: DType, to: DType, isTarget: boolean): boolean {
  if (from === to) return true
  if (isFloat(to)) return isFloat(from) || isTarget
  return isWhole(from) && (to === 'int64' || to === 'int32')
}

interface Wanted {
  readonly input: TargetInfo
  readonly what: 'input' | 'target'
}

/** Image files become pixels of any size, grey or red, green and blue. */
const fitsImages = ({ dtype, shape: [, channels, ...size] }: TargetInfo): boolean =>
  dtype === 'uint8' && (channels === 1 || channels === 3) && size.length === 2 && size.every(isKnown)

const fits = (column: Column, { input, what }: Wanted): boolean =>
  column.kind === 'image files'
    ? fitsImages(input)
    : fitsType(column.dtype, input.dtype, what === 'target') && fitsShape(column.shape, input.shape.slice(1))

/** Classes may be written as floats, as tables have them: each is looked at. */
const fitsAsLabels = (column: Column, { input: { classes, shape } }: Wanted): boolean =>
  classes !== undefined && column.kind === 'tensor' && isFloat(column.dtype) && fitsShape(column.shape, shape.slice(1))

const describeColumn = (name: string, { dtype, shape }: Column): string => `'${name}' ${formatType({ dtype, shape })}`
/** Columns that are named in a message: a table may have hundreds. */
const most = 20
function listColumns({ columns }: Split): string {
  const all = Object.entries(columns).map(([name, column]) => describeColumn(name, column))
  return all.length <= most ? all.join(', ') : `${all.slice(0, most).join(', ')} and ${all.length - most} more`
}
const describeInput = ({ input: { name, dtype, shape }, what }: Wanted): string =>
  `the ${what} '${name}' (${formatType({ dtype, shape })})`

/** A number an example, and no class. */
const isScalar = (column: Column): boolean =>
  column.kind === 'tensor' && withoutOnes(column.shape).length === 0 && column.classes === undefined

/** The columns that feed an input: one as it is, or the numbers of several. */
interface Source extends Wanted {
  readonly columns: readonly string[]
  readonly stacked: boolean
}

/** How many features an input takes, where it takes nothing else: [batch, features]. */
const featuresOf = ({ input: { shape } }: Wanted) => (shape.length === 2 ? shape[1] : undefined)

class Finder {
  readonly #columns: Split['columns']

  constructor(
    private readonly split: Split,
    private readonly given: InputColumns,
    private readonly wanted: readonly Wanted[],
  ) {
    this.#columns = split.columns
  }

  find(): readonly Source[] {
    const certain = this.wanted.map((each) => this.#byName(each))
    const named = new Set(certain.flatMap((source) => source?.columns ?? []))
    const found = certain.map((source, i) => source ?? this.#byFit(this.wanted[i]!, named))
    // What is left goes to those who take all there is, or as much as there is.
    const used = new Set(found.flatMap((source) => source?.columns ?? []))
    const left = Object.keys(this.#columns).filter((name) => isScalar(this.#columns[name]!) && !used.has(name))
    return found.map((source, i) => source ?? this.#byRest(this.wanted[i]!, left))
  }

  #has(name: string): boolean {
    return Object.hasOwn(this.#columns, name)
  }

  #isGiven({ input }: Wanted): boolean {
    return Object.hasOwn(this.given, input.name)
  }

  /** By what the user says, else by the input's own name. */
  #byName(wanted: Wanted): Source | undefined {
    const { name } = wanted.input
    const said = this.#isGiven(wanted) ? this.given[name]! : name
    if (this.#has(said)) {
      this.#checkFit(wanted, said)
      return { ...wanted, columns: [said], stacked: false }
    }
    if (!this.#isGiven(wanted) || said === '*') return undefined
    const columns = said.split(',').map((each) => each.trim())
    const unknown = columns.find((each) => !this.#has(each))
    if (unknown !== undefined)
      throw new UserError(
        `the data have no column '${unknown}' for ${describeInput(wanted)}; they have ${listColumns(this.split)}`,
      )
    return this.#stack(wanted, columns)
  }

  /** The only column that fits, of those that nobody names. */
  #byFit(wanted: Wanted, named: ReadonlySet<string>): Source | undefined {
    if (this.#isGiven(wanted)) return undefined
    const fitting = Object.keys(this.#columns).filter((name) => !named.has(name) && fits(this.#columns[name]!, wanted))
    // Whole numbers may be labels; a column that names as many classes is meant to be.
    const { classes } = wanted.input
    const labels = fitting.filter((name) => classes !== undefined && this.#columns[name]!.classes?.length === classes)
    const [only, another] = labels.length > 0 ? labels : fitting
    return only !== undefined && another === undefined ? { ...wanted, columns: [only], stacked: false } : undefined
  }

  #byRest(wanted: Wanted, left: readonly string[]): Source {
    if (this.#isGiven(wanted)) {
      if (left.length > 0) return this.#stack(wanted, left)
      throw new UserError(
        `no columns of a number an example are left for ${describeInput(wanted)}; the data have ${listColumns(this.split)}`,
      )
    }
    if (wanted.what === 'input' && isFloat(wanted.input.dtype) && left.length > 0 && left.length === featuresOf(wanted))
      return this.#stack(wanted, left)
    const several = featuresOf(wanted) === undefined ? '' : ', or several, =A,B,C or =* for all'
    throw new UserError(
      `the data have no column for ${describeInput(wanted)}; they have ${listColumns(this.split)}: say which with --input ${wanted.input.name}=COLUMN${several}`,
    )
  }

  #stack(wanted: Wanted, columns: readonly string[]): Source {
    const { dtype } = wanted.input
    for (const name of columns) {
      const column = this.#columns[name]!
      if (column.classes)
        throw new UserError(
          `the column '${name}' holds names of classes, not numbers for ${describeInput(wanted)}: leave it out, or write it as numbers`,
        )
      if (!isScalar(column) || (isFloat(column.dtype) && !isFloat(dtype)))
        throw new UserError(
          `the column ${describeColumn(name, column)} does not fit ${describeInput(wanted)}; expected ${dtype}, a number an example`,
        )
    }
    const features = featuresOf(wanted)
    if (features === undefined || (isKnown(features) && features !== columns.length))
      throw new UserError(
        `${describeInput(wanted)} does not take the numbers of ${columns.length} columns: ${listColumns({ count: 0, columns: Object.fromEntries(columns.map((name) => [name, this.#columns[name]!])) })}`,
      )
    return { ...wanted, columns, stacked: true }
  }

  #checkFit(wanted: Wanted, name: string): void {
    const column = this.#columns[name]!
    if (fits(column, wanted) || fitsAsLabels(column, wanted)) return
    const { dtype, shape } = wanted.input
    const expected =
      column.kind === 'image files'
        ? 'uint8 [batch, 1 or 3, height, width] with known sizes, as image files become'
        : `${formatType({ dtype, shape: shape.slice(1) })} an example`
    throw new UserError(
      `the column ${describeColumn(name, column)} does not fit ${describeInput(wanted)}; expected ${expected}`,
    )
  }
}

/** The numbers of several columns, those of an example side by side. */
function stacked(columns: readonly TensorColumn[], dtype: DType, count: number): TensorColumn {
  const data = shared(dtype, count * columns.length)
  columns.forEach((column, feature) => {
    const { data: numbers } = widen({ dtype: column.dtype, shape: [count], data: column.data } as Tensor)
    const own = tensor(dtype, [count], numbers).data
    for (let i = 0; i < count; i++) data[i * columns.length + feature] = own[i]!
  })
  return { kind: 'tensor', dtype, shape: [columns.length], data }
}

/** What an input is fed from. */
function columnFor({ columns: names, stacked: isStacked, input }: Source, { count, columns }: Split): Column {
  if (isStacked)
    return stacked(
      names.map((name) => columns[name] as TensorColumn),
      input.dtype,
      count,
    )
  return columns[names[0]!]!
}

/**
 * Finds columns for every input and target of a step, and looks at what is in them.
 * @param splits by the names that messages call them; the first decides
 * @throws UserError naming the input, the columns that there are and what does not fit; a set without examples or without a
 *   column; an example and its number that is no class
 */
export function bindColumns<Name extends string>(
  { inputs, targets }: Pick<StepSignature, 'inputs' | 'targets'>,
  splits: Readonly<Record<Name, Split>>,
  given: InputColumns = {},
): Bound<Name> {
  const wanted: Wanted[] = [
    ...inputs.map((input) => ({ input: input as TargetInfo, what: 'input' as const })),
    ...targets.map((input) => ({ input, what: 'target' as const })),
  ]
  const unknown = Object.keys(given).find((name) => !wanted.some(({ input }) => input.name === name))
  if (unknown !== undefined)
    throw new UserError(
      `the model has no input '${unknown}'; it has ${wanted.map(({ input }) => `'${input.name}'`).join(', ')}`,
    )
  const all = Object.entries(splits) as [Name, Split][]
  const sources = new Finder(all[0]![1], given, wanted).find()
  const bound = all.map(([name, split]) => {
    checkSplit(name, split, sources)
    const columns = Object.fromEntries(sources.map((source) => [source.input.name, columnFor(source, split)]))
    return [name, { count: split.count, columns }] as const
  })
  return {
    bindings: sources.map(({ input }) => ({ input, column: input.name })),
    splits: Object.fromEntries(bound) as Record<Name, Split>,
  }
}

function checkSplit(set: string, { count, columns }: Split, sources: readonly Source[]): void {
  if (count === 0) throw new UserError(`there are no ${set} examples`)
  for (const { input, columns: names } of sources) {
    for (const name of names) {
      const column = Object.hasOwn(columns, name) ? columns[name] : undefined
      if (!column) throw new UserError(`the ${set} set has no column '${name}', which the training set has`)
      const { classes, ignored } = input
      if (classes === undefined) continue
      if (column.classes && column.classes.length !== classes)
        throw new UserError(
          `the model has ${classes} classes, the column '${name}' of the data has ${column.classes.length}`,
        )
      checkLabels(set, name, column, classes, ignored)
    }
  }
}

function checkLabels(set: string, name: string, column: Column, classes: number, ignored: number | undefined): void {
  if (column.kind !== 'tensor') return
  const { data } = column
  for (let i = 0; i < data.length; i++) {
    const label = Number(data[i])
    if (label === ignored || (Number.isInteger(label) && label >= 0 && label < classes)) continue
    throw new UserError(
      `the ${set} set: example ${Math.floor(i / elementsOf(column.shape))} (counted from 0) has ${label} in the column '${name}'; expected 0 to ${classes - 1}, as the model has ${classes} classes`,
    )
  }
}
