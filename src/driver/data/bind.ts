// Which column of a data set feeds which input of a step: by name, by what the user says, or because only one fits. What does not
// fit is said before anything is trained.

import { UserError } from '../../core/errors.js'
import { isKnown } from '../../core/graph/shape.js'
import { type DType, elementsOf, isFloat } from '../../core/graph/tensor.js'
import { formatType } from '../../core/graph/value.js'
import type { StepSignature, TargetInfo } from '../../core/training/signature.js'
import type { Column, Dataset, Split } from './dataset.js'

/** An input, or a target, and what feeds it. */
export interface Binding {
  readonly input: TargetInfo
  /** The name of the column. */
  readonly column: string
}

/** Input → column, where they are not called alike. */
export type InputColumns = Readonly<Record<string, string>>

/** Sizes but for those of 1: [1, 28, 28] and [28, 28] hold the same numbers in the same order. */
const withoutOnes = (shape: readonly (number | string)[]) => shape.filter((dim) => dim !== 1)

function fitsShape(shape: readonly number[], wanted: readonly (number | string)[]): boolean {
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

const fits = (column: Column, { dtype, shape }: TargetInfo, isTarget: boolean): boolean =>
  fitsType(column.dtype, dtype, isTarget) && fitsShape(column.shape, shape.slice(1))

const describeColumn = (name: string, { dtype, shape }: Column): string => `'${name}' ${formatType({ dtype, shape })}`
const listColumns = ({ columns }: Split): string =>
  Object.entries(columns)
    .map(([name, column]) => describeColumn(name, column))
    .join(', ')
const describeInput = ({ name, dtype, shape }: TargetInfo, what: string): string =>
  `the ${what} '${name}' (${formatType({ dtype, shape })})`

/**
 * Finds a column for every input and target of a step.
 * @throws UserError naming the input, the columns that there are and what does not fit
 */
export function bindColumns(
  { inputs, targets }: Pick<StepSignature, 'inputs' | 'targets'>,
  { train }: Pick<Dataset, 'train'>,
  given: InputColumns = {},
): readonly Binding[] {
  const wanted = [
    ...inputs.map((input) => ({ input: input as TargetInfo, what: 'input' })),
    ...targets.map((input) => ({ input, what: 'target' })),
  ]
  const unknown = Object.keys(given).find((name) => !wanted.some(({ input }) => input.name === name))
  if (unknown !== undefined)
    throw new UserError(
      `the model has no input '${unknown}'; it has ${wanted.map(({ input }) => `'${input.name}'`).join(', ')}`,
    )
  const taken = new Set([...Object.values(given), ...wanted.map(({ input }) => input.name)])
  return wanted.map(({ input, what }) => {
    const named = Object.hasOwn(given, input.name) ? given[input.name]! : input.name
    const column = Object.hasOwn(train.columns, named) ? train.columns[named] : undefined
    if (column) {
      checkFit(input, what, named, column)
      return { input, column: named }
    }
    if (Object.hasOwn(given, input.name))
      throw new UserError(
        `the data have no column '${named}' for ${describeInput(input, what)}; they have ${listColumns(train)}`,
      )
    const fitting = Object.entries(train.columns).filter(
      ([name, candidate]) => !taken.has(name) && fits(candidate, input, what === 'target'),
    )
    if (fitting.length === 1) return { input, column: fitting[0]![0] }
    throw new UserError(
      `the data have no column for ${describeInput(input, what)}; they have ${listColumns(train)}: say which with --input ${input.name}=COLUMN`,
    )
  })
}

function checkFit(input: TargetInfo, what: string, name: string, column: Column): void {
  if (fits(column, input, what === 'target')) return
  const { dtype, shape } = input
  throw new UserError(
    `the column ${describeColumn(name, column)} does not fit ${describeInput(input, what)}; expected ${formatType({ dtype, shape: shape.slice(1) })} an example`,
  )
}

/**
 * Checks what a step is fed from.
 * @param splits by the names that messages call them
 * @throws UserError naming the set, the column, the example and the number that is no class; or a set without examples
 */
export function checkColumns(splits: Readonly<Record<string, Split>>, bindings: readonly Binding[]): void {
  for (const [name, split] of Object.entries(splits)) {
    if (split.count === 0) throw new UserError(`there are no ${name} examples`)
    for (const { input, column: columnName } of bindings) {
      const column = Object.hasOwn(split.columns, columnName) ? split.columns[columnName] : undefined
      if (!column) throw new UserError(`the ${name} set has no column '${columnName}', which the training set has`)
      const { classes, ignored } = input
      if (classes === undefined) continue
      if (column.classes && column.classes.length !== classes)
        throw new UserError(
          `the model has ${classes} classes, the column '${columnName}' of the data has ${column.classes.length}`,
        )
      checkLabels(name, columnName, column, classes, ignored)
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
