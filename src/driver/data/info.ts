// What a data set is, for people and programs: its splits and its columns.

import type { DType } from '../../core/graph/tensor.js'
import type { Column, Dataset, ImageFilesColumn } from './dataset.js'

/** A column of a data set: its name, shape and type. */
export interface ColumnInfo {
  readonly name: string
  readonly kind: Column['kind']
  readonly dtype: DType
  /** Of one example: numbers, or the names of sizes that the model decides. */
  readonly shape: Column['shape']
  /** Of labels: the names of the classes. */
  readonly classes?: readonly string[]
  /** Of image files: height and width of the smallest and the largest. */
  readonly sizes?: NonNullable<ImageFilesColumn['sizes']>
}

/** What {@link describeDataset} says of a data set. */
export interface DatasetInfo {
  readonly format: string
  /** Examples. */
  readonly train: number
  readonly test: number
  /** The part that is held out as the test set, where the data have none. */
  readonly heldOut?: number
  /** The same in both splits. */
  readonly columns: readonly ColumnInfo[]
}

const columnInfo = (name: string, column: Column): ColumnInfo => ({
  name,
  kind: column.kind,
  dtype: column.dtype,
  shape: column.shape,
  ...(column.classes ? { classes: column.classes } : {}),
  ...(column.kind === 'image files' && column.sizes ? { sizes: column.sizes } : {}),
})

/** What a data set holds: its format, its counts, its columns with shape and type. */
export const describeDataset = ({ format, train, test, heldOut }: Dataset): DatasetInfo => ({
  format,
  train: train.count,
  test: test.count,
  ...(heldOut === undefined ? {} : { heldOut }),
  columns: Object.entries(train.columns).map(([name, column]) => columnInfo(name, column)),
})
