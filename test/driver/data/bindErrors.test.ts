// Which column feeds which input where nothing is put together, and what is said where none does.
import { describe, expect, it } from 'vitest'
import { UserError } from '../../../src/core/errors.js'
import { type Tensor, tensor } from '../../../src/core/graph/tensor.js'
import type { StepSignature, TargetInfo } from '../../../src/core/training/signature.js'
import { bindColumns, type InputColumns } from '../../../src/driver/data/bind.js'
import type { Column, Split } from '../../../src/driver/data/dataset.js'

type DType = Tensor['dtype']

const column = (
  dtype: DType,
  shape: readonly number[],
  values: readonly number[] = [0],
  classes?: readonly string[],
) => {
  const size = shape.reduce((a, b) => a * b, 1)
  const data = Array.from({ length: Math.max(values.length, size) }, (_, i) => values[i % values.length]!)
  const { data: stored } = tensor(dtype, [data.length], data)
  return { kind: 'tensor', dtype, shape, data: stored, ...(classes ? { classes } : {}) } as Column
}
const split = (columns: Readonly<Record<string, Column>>, count = 1): Split => ({ count, columns })
const info = (name: string, dtype: DType, shape: TargetInfo['shape'], more: Partial<TargetInfo> = {}): TargetInfo => ({
  name,
  dtype,
  shape,
  ...more,
})
type Wanted = Pick<StepSignature, 'inputs' | 'targets'>

/** Each input, and the column whose memory it is fed from. */
const bound = (wanted: Wanted, columns: Readonly<Record<string, Column>>, given?: InputColumns) => {
  const memory = (one: Column | undefined) => (one?.kind === 'tensor' ? one.data.buffer : undefined)
  const { train } = bindColumns(wanted, { train: split(columns) }, given).splits
  return Object.entries(train.columns).map(([name, found]) => {
    const [from] = Object.entries(columns).find(([, one]) => memory(one) === memory(found)) ?? ['a copy']
    return `${name} ← ${from}`
  })
}

const classifier: Wanted = {
  inputs: [info('images', 'uint8', ['batch', 1, 4, 4])],
  targets: [info('labels', 'int64', ['batch'], { classes: 3 })],
}
const regression: Wanted = {
  inputs: [info('x', 'float32', ['batch', 2])],
  targets: [info('targets', 'float32', ['batch', 1])],
}

describe('an input is fed', () => {
  it.each<[string, Wanted, Readonly<Record<string, Column>>, InputColumns | undefined, readonly string[]]>([
    [
      'from the column of its name',
      regression,
      { targets: column('float32', [1]), x: column('float32', [2]), other: column('float32', [2]) },
      undefined,
      ['x ← x', 'targets ← targets'],
    ],
    [
      'from the column that the user names',
      regression,
      { x: column('float32', [2]), y: column('float32', [1]), z: column('float32', [2]) },
      { x: 'z', targets: 'y' },
      ['x ← z', 'targets ← y'],
    ],
    [
      'from the only one that fits, where axes of one number do not count and bytes are whole numbers',
      classifier,
      { pictures: column('uint8', [4, 4]), digit: column('uint8', []) },
      undefined,
      ['images ← pictures', 'labels ← digit'],
    ],
    [
      'for targets from whole numbers as well, where floats are wanted',
      { inputs: [], targets: regression.targets },
      { yes: column('bool', []) },
      undefined,
      ['targets ← yes'],
    ],
    [
      'from a column of any length, where the size is a symbol',
      { inputs: [info('tokens', 'int64', ['batch', 'length'])], targets: [] },
      { text: column('int32', [7]) },
      undefined,
      ['tokens ← text'],
    ],
  ])('%s', (_, wanted, columns, given, expected) => {
    expect(bound(wanted, columns, given)).toEqual(expected)
  })
})

const images = column('uint8', [1, 4, 4])
describe('what does not fit is refused', () => {
  it.each<[string, () => unknown]>([
    [
      "the model has no input 'pictures'; it has 'images', 'labels'",
      () => bound(classifier, { images }, { pictures: 'images' }),
    ],
    [
      "the data have no column 'digits' for the target 'labels' (int64[batch]); they have 'images' uint8[1, 4, 4]",
      () => bound(classifier, { images }, { labels: 'digits' }),
    ],
    [
      "the column 'images' uint8[3, 4, 4] does not fit the input 'images' (uint8[batch, 1, 4, 4]); expected uint8[1, 4, 4] an example",
      () => bound(classifier, { images: column('uint8', [3, 4, 4]), labels: column('uint8', []) }),
    ],
    [
      "the column 'x' uint8[2] does not fit the input 'x' (float32[batch, 2]); expected float32[2] an example",
      () => bound(regression, { x: column('uint8', [2]), targets: column('float32', [1]) }),
    ],
    [
      "the train set: example 0 (counted from 0) has 0.5 in the column 'labels'; expected 0 to 2, as the model has 3 classes",
      () => bound(classifier, { images, labels: column('float32', [], [0.5]) }),
    ],
    // Two fit, or none.
    [
      "the data have no column for the target 'labels' (int64[batch]); they have 'images' uint8[1, 4, 4], 'coarse' uint8[], 'fine' uint8[]: say which with --input labels=COLUMN",
      () => bound(classifier, { images, coarse: column('uint8', []), fine: column('uint8', []) }),
    ],
    [
      "the data have no column for the input 'x' (float32[batch, 2]); they have 'targets' float32[1]: say which with --input x=COLUMN, or several, =A,B,C or =* for all",
      () => bound(regression, { targets: column('float32', [1]) }),
    ],
    // A column called as an object's own properties are is none.
    [
      "the data have no column 'constructor' for the target 'labels' (int64[batch]); they have 'images' uint8[1, 4, 4]",
      () => bound(classifier, { images }, { labels: 'constructor' }),
    ],
  ])('%s', (message, call) => {
    expect(call).toThrow(new UserError(message))
  })
})

describe('the numbers of labels', () => {
  const labels = (more: Partial<TargetInfo> = {}): Wanted => ({
    inputs: [],
    targets: [info('labels', 'int64', ['batch'], { classes: 3, ...more })],
  })
  const check = (splits: Readonly<Record<string, Split>>, wanted: Wanted = labels()) =>
    bindColumns(wanted, splits, { labels: 'digit' })
  const digits = (values: readonly number[], classes?: readonly string[]) =>
    split({ digit: column('int32', [], values, classes) }, values.length)

  it.each<[string, () => unknown]>([
    ['there are no test examples', () => check({ train: digits([0]), test: digits([]) })],
    [
      "the test set has no column 'digit', which the training set has",
      () => check({ train: digits([0]), test: split({ image: images }) }),
    ],
    ["the model has 3 classes, the column 'digit' of the data has 2", () => check({ train: digits([0], ['a', 'b']) })],
    [
      "the train set: example 2 (counted from 0) has 3 in the column 'digit'; expected 0 to 2, as the model has 3 classes",
      () => check({ train: digits([0, 2, 3]) }),
    ],
    [
      "the test set: example 0 (counted from 0) has -1 in the column 'digit'; expected 0 to 2, as the model has 3 classes",
      () => check({ train: digits([0]), test: digits([-1]) }, labels({ ignored: -100 })),
    ],
    // Several labels an example.
    [
      "the train set: example 1 (counted from 0) has 7 in the column 'digit'; expected 0 to 2, as the model has 3 classes",
      () => check({ train: split({ digit: column('int32', [2], [0, 1, 2, 7]) }, 2) }, labels({ shape: ['batch', 2] })),
    ],
  ])('%s', (message, call) => {
    expect(call).toThrow(new UserError(message))
  })

  it('may be one that does not count', () => {
    expect(() => check({ train: digits([0, -100, 2]) }, labels({ ignored: -100 }))).not.toThrow()
  })
})
