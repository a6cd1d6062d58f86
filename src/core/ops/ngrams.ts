// Runs of words in a text.

import { ONNX_DOMAIN, type Operator, operator, optional, required } from '../graph/operator.js'
import { fixed } from '../graph/sample.js'
import { isInteger, numbers } from '../graph/tensor.js'
import { GraphError } from '../graph/value.js'

const attributes = {
  mode: required('string'),
  min_gram_length: required('int'),
  max_gram_length: required('int'),
  max_skip_count: required('int'),
  ngram_counts: required('ints'),
  ngram_indexes: required('ints'),
  pool_int64s: optional('ints'),
  weights: optional('floats'),
} as const

interface Ngram {
  readonly place: number
  readonly weight: number
}

/** The n-grams of a pool by their words. `starts` are where those of one word begin, of two, and so on. */
function ngramsOf(
  pool: readonly number[],
  starts: readonly number[],
  places: readonly number[],
  weights?: readonly number[],
) {
  const found = new Map<string, Ngram>()
  let index = 0
  starts.forEach((start, i) => {
    const length = i + 1
    const end = starts[i + 1] ?? pool.length
    if (start < 0 || end > pool.length || end < start || (end - start) % length !== 0)
      throw new GraphError(`ngram_counts leaves ${end - start} numbers for n-grams of ${length}`)
    for (let at = start; at < end; at += length, index++)
      found.set(pool.slice(at, at + length).join(), { place: places[index]!, weight: weights?.[index] ?? 1 })
  })
  if (index !== places.length || (weights && weights.length !== index))
    throw new GraphError(
      `the pool has ${index} n-grams, ngram_indexes ${places.length} and weights ${weights?.length ?? 'none'}`,
    )
  return found
}

/** How many places of the output there are. */
const widthOf = (places: readonly number[]): number => places.reduce((most, place) => Math.max(most, place), -1) + 1

/**
 * How often the n-grams of a pool stand in each row, at the places that `ngram_indexes` gives them (TF); whether they do, by their
 * weights (IDF); or how often by their weights (TFIDF). Between the words of one may stand up to `max_skip_count` others each time.
 */
export const TfIdfVectorizer: Operator<typeof attributes> = operator({
  name: 'TfIdfVectorizer',
  domain: ONNX_DOMAIN,
  since: 9,
  attributes,
  arity: [1, 1],
  infer(
    [x],
    { mode, min_gram_length, max_gram_length, max_skip_count, ngram_counts, ngram_indexes, pool_int64s, weights },
  ) {
    if (!pool_int64s) throw new GraphError('needs pool_int64s; text is not supported')
    if (!isInteger(x!.dtype) || x!.shape.length < 1 || x!.shape.length > 2)
      throw new GraphError('needs whole numbers [words] or [rows, words]')
    if (!['TF', 'IDF', 'TFIDF'].includes(mode))
      throw new GraphError(`mode '${mode}' is not known; use TF, IDF or TFIDF`)
    if (min_gram_length < 1 || max_gram_length < min_gram_length || max_skip_count < 0)
      throw new GraphError('needs 1 ≤ min_gram_length ≤ max_gram_length and max_skip_count ≥ 0')
    if (ngram_indexes.some((place) => place < 0)) throw new GraphError('ngram_indexes must be 0 or more')
    ngramsOf(pool_int64s, ngram_counts, ngram_indexes, weights)
    return [{ dtype: 'float32', shape: [...x!.shape.slice(0, -1), widthOf(ngram_indexes)] }]
  },
  gradient: 'zero',
  evaluate([x], { mode, min_gram_length, max_gram_length, max_skip_count, ngram_counts, ngram_indexes, ...rest }) {
    const known = ngramsOf(rest.pool_int64s ?? [], ngram_counts, ngram_indexes, rest.weights)
    const length = x!.shape.at(-1)!
    const rows = x!.shape.length === 1 ? 1 : x!.shape[0]!
    const width = widthOf(ngram_indexes)
    const counts = new Float64Array(rows * width)
    const weights = new Float64Array(width)
    for (const { place, weight } of known.values()) weights[place] = weight
    for (let row = 0; row < rows; row++) {
      const words = x!.data.subarray(row * length, (row + 1) * length)
      for (let size = min_gram_length; size <= Math.min(max_gram_length, ngram_counts.length); size++) {
        // Nothing stands between the words of one word.
        for (let step = 1; step <= (size === 1 ? 1 : Math.min(max_skip_count + 1, length)); step++) {
          for (let start = 0; start + (size - 1) * step < length; start++) {
            const found = known.get(Array.from({ length: size }, (_, i) => words[start + i * step]).join())
            if (found) counts[row * width + found.place]!++
          }
        }
      }
    }
    const scaled = counts.map((count, i) => {
      if (mode === 'TF') return count
      return weights[i % width]! * (mode === 'IDF' ? Math.min(count, 1) : count)
    })
    return [numbers('float32', [...x!.shape.slice(0, -1), width], scaled)]
  },
  samples: [
    {
      inputs: [fixed('int32', [2, 6], [1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8])],
      attributes: {
        mode: 'TF',
        min_gram_length: 1,
        max_gram_length: 2,
        max_skip_count: 2,
        ngram_counts: [0, 4],
        ngram_indexes: [0, 1, 2, 3, 4, 5, 6],
        pool_int64s: [2, 3, 5, 4, 5, 6, 7, 8, 6, 7],
      },
    },
    {
      inputs: [fixed('int64', [7], [1, 2, 1, 2, 3, 1, 3])],
      attributes: {
        mode: 'TFIDF',
        min_gram_length: 1,
        max_gram_length: 2,
        max_skip_count: 0,
        ngram_counts: [0, 2],
        ngram_indexes: [0, 1, 2, 3],
        pool_int64s: [1, 3, 1, 2, 2, 3],
        weights: [0.5, 2, 3, 0.25],
      },
    },
  ],
})
