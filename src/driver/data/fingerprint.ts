// What tells a data set from another: its numbers, not where it lies.

import { bytesOf } from '../../core/graph/tensor.js'
import type { Column, Dataset, Split } from './dataset.js'

/** What tells a column: its numbers, or the names of its files in their order. */
const contentOf = (column: Column, nameOf: (path: string) => string): Uint8Array | string =>
  column.kind === 'tensor' ? bytesOf(column.data) : JSON.stringify(column.files.map((file) => nameOf(file)))

/** What is said of a split before its numbers: of images and labels as version one said it. */
function headOf({ count, columns }: Split): string {
  const { images, labels, ...others } = columns
  if (images && labels?.classes && Object.keys(others).length === 0)
    return JSON.stringify([count, ...images.shape, labels.classes])
  return JSON.stringify([
    count,
    ...Object.entries(columns).map(([name, { dtype, shape, classes }]) => [name, dtype, shape, classes ?? null]),
  ])
}

/**
 * Says all that a run depends on, part by part, to what makes a hash of it.
 * @param nameOf the last part of a path
 */
export function describeData(
  { train, test }: Dataset,
  update: (part: Uint8Array | string) => unknown,
  nameOf: (path: string) => string,
): void {
  for (const split of [train, test]) {
    update(headOf(split))
    for (const column of Object.values(split.columns)) update(contentOf(column, nameOf))
  }
}
