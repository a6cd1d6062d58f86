// Statistics of columns: what a model standardizes its inputs by.

import { UserError } from '../../core/errors.js'
import { type Tensor, widen } from '../../core/graph/tensor.js'
import type { FeatureStatistics } from '../../core/layers/index.js'
import type { Split } from './dataset.js'

/**
 * Mean and standard deviation (the population's) over the examples, in float64, of each number of a column, or of several columns one
 * after the other; 1 for what never changes. Of the training split, they make a layer `standardize`.
 * @param columns a name, or names in the order in which the model takes them
 * @throws UserError for a column that is not there, or whose numbers are not in memory; or a split without examples
 */
export function columnStatistics({ count, columns }: Split, names: string | readonly string[]): FeatureStatistics {
  if (count === 0) throw new UserError('there are no examples to take statistics of')
  const mean: number[] = []
  const std: number[] = []
  for (const name of typeof names === 'string' ? [names] : names) {
    const column = Object.hasOwn(columns, name) ? columns[name]! : undefined
    if (!column)
      throw new UserError(
        `the data have no column '${name}'; they have ${Object.keys(columns)
          .map((each) => `'${each}'`)
          .join(', ')}`,
      )
    if (column.kind !== 'tensor')
      throw new UserError(`the column '${name}' holds image files, which have no numbers yet`)
    const { data } = widen({ dtype: column.dtype, shape: [column.data.length], data: column.data } as Tensor)
    const width = data.length / count
    for (let feature = 0; feature < width; feature++) {
      let sum = 0
      for (let at = feature; at < data.length; at += width) sum += data[at]!
      const average = sum / count
      let squares = 0
      for (let at = feature; at < data.length; at += width) squares += (data[at]! - average) ** 2
      mean.push(average)
      std.push(Math.sqrt(squares / count) || 1)
    }
  }
  return { mean, std }
}
