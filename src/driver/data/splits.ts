// How what was read is divided into a training and a test set, where the files do not say it.

import { UserError } from '../../core/errors.js'
import { bytesOf, elementsOf, type Tensor, type Tensors } from '../../core/graph/tensor.js'
import { permutation, randomStream } from '../../core/random.js'
import { type Column, type Dataset, isShared, type Split, shared, type TensorColumn } from './dataset.js'
import { imagesAt } from './images.js'

/** What a user may say of data that do not say it themselves. */
export interface ReadOptions {
  /** Of data without a test set: the part that is held out as one, between 0 and 1; 0.2 unless given. */
  readonly holdOut?: number | undefined
  /** Draws which examples are held out; 0 unless given. */
  readonly seed?: number | undefined
}

/** The part that is held out unless another is asked for. */
export const usualHoldOut = 0.2

/** A tensor as a column, in memory that threads share. Its first axis is the examples. */
export function columnOf({ dtype, shape, data }: Tensor, classes?: readonly string[]): TensorColumn {
  const own = isShared(data) ? data : shared(dtype, data.length)
  // Of one type, though TypeScript cannot tell.
  if (own !== data) own.set(data as never)
  return { kind: 'tensor', dtype, shape: shape.slice(1), data: own, ...(classes ? { classes } : {}) }
}

/** The rows of a column at these places. */
function chosen(column: Column, places: Uint32Array): Column {
  if (column.kind === 'image files') return { ...column, ...imagesAt(column, places) }
  const { dtype, shape, data } = column
  const rows = shared(dtype, places.length * elementsOf(shape))
  // As bytes, whatever the type.
  const [from, to] = [bytesOf(data), bytesOf(rows)]
  const width = elementsOf(shape) * data.BYTES_PER_ELEMENT
  places.forEach((place, i) => {
    to.set(from.subarray(place * width, (place + 1) * width), i * width)
  })
  return { ...column, data: rows } as Column
}

/**
 * A data set of one split, of which a part is held out as the test set: drawn by the seed, so that training and evaluation see
 * the same one, in the order of the file.
 * @throws UserError where nothing would be left for either
 */
export function heldOut(format: string, path: string, { count, columns }: Split, options: ReadOptions): Dataset {
  const { holdOut = usualHoldOut, seed = 0 } = options
  if (!(holdOut > 0 && holdOut < 1))
    throw new UserError(`a part of ${holdOut} cannot be held out: it lies between 0 and 1`)
  const test = Math.max(1, Math.round(count * holdOut))
  if (test >= count)
    throw new UserError(
      `${path}: has ${count} examples, too few to hold out ${holdOut} of them as a test set; give more, or a training and a test set`,
    )
  const order = permutation(count, randomStream(seed, 'hold-out'))
  const split = (places: Uint32Array): Split => ({
    count: places.length,
    columns: Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, chosen(column, places)])),
  })
  return {
    format,
    train: split(order.slice(test).sort()),
    test: split(order.slice(0, test).sort()),
    heldOut: holdOut,
  }
}

/** @throws UserError for a part that is asked for of data that have a test set */
export function checkNoHoldOut(path: string, { holdOut }: ReadOptions): void {
  if (holdOut !== undefined) throw new UserError(`${path}: has a test set already: leave out --hold-out`)
}

/**
 * Arrays of one split, with a row for each example.
 * @param path of what they were read from, for messages
 * @throws UserError for an array of another length, or without examples
 */
export function splitOf(path: string, tensors: Tensors): Split {
  let count: number | undefined
  for (const [name, { shape }] of Object.entries(tensors)) {
    if (shape.length === 0)
      throw new UserError(`${path}: '${name}' is a single number; expected an array with a row for each example`)
    count ??= shape[0]!
    if (shape[0] !== count)
      throw new UserError(
        `${path}: '${name}' has ${shape[0]} rows, '${Object.keys(tensors)[0]}' has ${count}; expected one for each example`,
      )
  }
  if (count === undefined) throw new UserError(`${path}: holds no arrays`)
  if (count === 0) throw new UserError(`${path}: holds arrays without examples`)
  return {
    count,
    columns: Object.fromEntries(Object.entries(tensors).map(([name, value]) => [name, columnOf(value)])),
  }
}

/** Of two sets: the columns of the first in the second, too, of the same types and sizes. */
export function checkAlike(names: readonly [string, string], train: Split, test: Split): void {
  for (const [[name, own], [otherName, other]] of [
    [
      [names[0], train],
      [names[1], test],
    ],
    [
      [names[1], test],
      [names[0], train],
    ],
  ] as const) {
    for (const [column, { dtype, shape }] of Object.entries(own.columns)) {
      const twin = Object.hasOwn(other.columns, column) ? other.columns[column] : undefined
      if (!twin) throw new UserError(`${otherName}: has no column '${column}', which ${name} has`)
      if (twin.dtype !== dtype || `${twin.shape}` !== `${shape}`)
        throw new UserError(
          `${otherName}: '${column}' is ${twin.dtype} [${twin.shape.join(', ')}] an example, in ${name} it is ${dtype} [${shape.join(', ')}]`,
        )
    }
  }
}

const parts: Readonly<Record<string, 'train' | 'test' | 'validation'>> = {
  train: 'train',
  training: 'train',
  test: 'test',
  val: 'validation',
  valid: 'validation',
  validation: 'validation',
}

/** `x_train`, `train_images`, `test.labels`: the part and the column; undefined for other names. */
function partOf(name: string): { readonly part: 'train' | 'test' | 'validation'; readonly column: string } | undefined {
  const pieces = name.split(/[_./-]/)
  for (const [at, rest] of [
    [0, name.slice(pieces[0]!.length + 1)],
    [pieces.length - 1, name.slice(0, -pieces.at(-1)!.length - 1)],
  ] as const) {
    const word = pieces[at]!.toLowerCase()
    if (rest !== '' && Object.hasOwn(parts, word)) return { part: parts[word]!, column: rest }
  }
  return undefined
}

/**
 * Arrays by name as a data set. Where their names say the split (`x_train`, `test_labels`; validation sets are the test set where
 * there is no other) that is taken, else a part is held out.
 * @throws UserError for names of which only some say it, and for arrays of different lengths
 */
export function datasetOf(format: string, path: string, tensors: Tensors, options: ReadOptions): Dataset {
  const named = Object.entries(tensors).map(([name, value]) => ({ name, value, ...partOf(name) }))
  const has = (part: string) => named.some((each) => each.part === part)
  const testPart = has('test') ? 'test' : 'validation'
  if (!has('train') || !has(testPart)) return heldOut(format, path, splitOf(path, tensors), options)
  checkNoHoldOut(path, options)
  const stray = named.find(({ part }) => part === undefined)
  if (stray)
    throw new UserError(
      `${path}: '${stray.name}' belongs to no split; expected names such as train_${stray.name} and test_${stray.name}, as others have`,
    )
  const split = (part: string) =>
    splitOf(
      path,
      Object.fromEntries(named.filter((each) => each.part === part).map(({ column, value }) => [column, value])),
    )
  const [train, test] = [split('train'), split(testPart)]
  checkAlike([`${path} (train)`, `${path} (${testPart})`], train, test)
  return { format, train, test }
}
