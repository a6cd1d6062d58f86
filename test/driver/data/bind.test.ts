// Which columns feed which input: by name, by what is said, because only they fit, and several as one.
import { describe, expect, test } from 'vitest'
import type { DType, Tensor } from '../../../src/core/graph/tensor.js'
import { tensor } from '../../../src/core/graph/tensor.js'
import type { TargetInfo } from '../../../src/core/training/signature.js'
import { bindColumns, type InputColumns } from '../../../src/driver/data/bind.js'
import type { Column, Split } from '../../../src/driver/data/dataset.js'

const numbers = (dtype: DType, values: readonly number[], classes?: readonly string[]): Column =>
  ({
    kind: 'tensor',
    dtype,
    shape: [],
    data: (tensor(dtype, [values.length], values) as Tensor).data,
    ...(classes ? { classes } : {}),
  }) as Column

const houses: Split = {
  count: 3,
  columns: {
    area: numbers('float32', [50, 80, 120]),
    rooms: numbers('int64', [2, 3, 5]),
    price: numbers('float32', [1, 2, 3]),
    city: numbers('uint8', [0, 1, 1], ['Bonn', 'Köln']),
    'a,b': numbers('float32', [7, 8, 9]),
  },
}

const x = (features: number | string): TargetInfo => ({ name: 'x', dtype: 'float32', shape: ['batch', features] })
const price: TargetInfo = { name: 'price', dtype: 'float32', shape: ['batch', 1] }
const labels: TargetInfo = { name: 'labels', dtype: 'int64', shape: ['batch'], classes: 2 }

const bound = (input: TargetInfo, target: TargetInfo, given?: InputColumns, split = houses) =>
  bindColumns({ inputs: [input], targets: [target] }, { training: split }, given).splits.training.columns
const dataOf = (column: Column | undefined) =>
  column?.kind === 'tensor' ? Array.from(column.data as Float32Array) : []
const refused = (...args: Parameters<typeof bound>) => {
  try {
    bound(...args)
    return 'nothing'
  } catch (error) {
    return String(error)
  }
}

describe('several columns as one', () => {
  test('in the order in which they are listed, in the type of the input', () => {
    const columns = bound(x(2), price, { x: 'rooms, area' })
    expect(columns.x).toMatchObject({ dtype: 'float32', shape: [2] })
    expect(dataOf(columns.x)).toEqual([2, 50, 3, 80, 5, 120])
    expect(dataOf(columns.price)).toEqual([1, 2, 3])
  })
  test('all that feed nothing else and are no classes', () => {
    expect(dataOf(bound(x(3), price, { x: '*' }).x)).toEqual([50, 2, 7, 80, 3, 8, 120, 5, 9])
    expect(dataOf(bound(x(3), labels, { x: '*', labels: 'rooms' }, renamed()).x)).toHaveLength(9)
  })
  test('without being told, where there are just as many as the input takes', () => {
    expect(bound(x(3), price).x).toMatchObject({ shape: [3] })
    expect(bound(x(4), labels)).toMatchObject({ x: { shape: [4] }, labels: { classes: ['Bonn', 'Köln'] } })
    expect(refused(x(2), price)).toBe(
      "UserError: the data have no column for the input 'x' (float32[batch, 2]); they have 'area' float32[], 'rooms' int64[], " +
        "'price' float32[], 'city' uint8[], 'a,b' float32[]: say which with --input x=COLUMN, or several, =A,B,C or =* for all",
    )
  })
  test('a column whose name has a comma is that column', () => {
    expect(dataOf(bound(x(1), price, { x: 'a,b' }).x)).toEqual([7, 8, 9])
  })
  test('what does not fit', () => {
    expect(refused(x(2), price, { x: 'area,flat' })).toMatch(/the data have no column 'flat' for the input 'x'/)
    expect(refused(x(2), price, { x: 'area,city' })).toBe(
      "UserError: the column 'city' holds names of classes, not numbers for the input 'x' (float32[batch, 2]): leave it out, or write it as numbers",
    )
    expect(refused(x(3), price, { x: 'area,rooms' })).toBe(
      "UserError: the input 'x' (float32[batch, 3]) does not take the numbers of 2 columns: 'area' float32[], 'rooms' int64[]",
    )
    const whole: TargetInfo = { name: 'x', dtype: 'int64', shape: ['batch', 2] }
    expect(refused(whole, price, { x: 'area,rooms' })).toMatch(/'area' float32\[\] does not fit the input 'x'/)
  })
})

/** Labels as a table has them: whole numbers that are floats. */
function renamed(second = 1): Split {
  return { ...houses, columns: { ...houses.columns, rooms: numbers('float32', [0, second, 1]) } }
}

describe('labels', () => {
  test('may be written as floats, where they are named', () => {
    expect(dataOf(bound(x(1), labels, { x: 'area', labels: 'rooms' }, renamed()).labels)).toEqual([0, 1, 1])
    expect(refused(x(1), labels, { x: 'area', labels: 'rooms' }, renamed(0.5))).toBe(
      "UserError: the training set: example 1 (counted from 0) has 0.5 in the column 'rooms'; expected 0 to 1, as the model has 2 classes",
    )
  })
  test('of another number of classes', () => {
    expect(refused(x(1), { ...labels, classes: 3 }, { x: 'area', labels: 'city' })).toBe(
      "UserError: the model has 3 classes, the column 'city' of the data has 2",
    )
  })
})

describe('image files', () => {
  const files: Split = {
    count: 1,
    columns: {
      pictures: { kind: 'image files', dtype: 'uint8', shape: ['channels', 'height', 'width'], files: ['a.png'] },
      labels: numbers('uint8', [0], ['a', 'b']),
    },
  }
  const images = (...shape: (number | string)[]): TargetInfo => ({
    name: 'images',
    dtype: 'uint8',
    shape: ['batch', ...shape],
  })
  test('feed images of any known size', () => {
    expect(bound(images(3, 8, 8), labels, {}, files).images).toMatchObject({ files: ['a.png'] })
    expect(bound(images(1, 28, 28), labels, {}, files).images).toMatchObject({ files: ['a.png'] })
    for (const shape of [[3, 'height', 'width'], [2, 8, 8], [64]])
      expect(refused(images(...shape), labels, { images: 'pictures' }, files)).toMatch(
        /expected uint8 \[batch, 1 or 3, height, width\] with known sizes, as image files become$/,
      )
  })
})

test('a set without a column, and one without examples', () => {
  const signature = { inputs: [x(1)], targets: [price] }
  const { area, price: prices } = houses.columns
  const only = { count: 3, columns: { area: area! } }
  const given = { x: 'area' }
  expect(() => bindColumns(signature, { training: houses, test: only }, given)).toThrow(
    "the test set has no column 'price', which the training set has",
  )
  const none = { count: 0, columns: { area: area!, price: prices! } }
  expect(() => bindColumns(signature, { training: houses, test: none }, given)).toThrow('there are no test examples')
})
