// Shapes with symbols: products, quotients, sums, broadcasting, axes.
import { describe, expect, it } from 'vitest'
import {
  addDims,
  broadcastShapes,
  type Dim,
  divideDim,
  formatShape,
  isStatic,
  isUnknown,
  normalizeAxis,
  type Shape,
  sameShape,
  sizeOf,
  stridesOf,
} from '../../../src/core/graph/shape.js'

describe('sizeOf', () => {
  it.each<[Shape, Dim]>([
    [[], 1],
    [[2, 3, 4], 24],
    [[2, 0, 'batch'], 0],
    [['batch'], 'batch'],
    [['batch', 1], 'batch'],
    [['batch', 3, 4], '12*batch'],
    [[3, 'batch', 4, 'time'], '12*batch*time'],
    [['time', 'batch'], 'batch*time'],
    [['2*batch', '3*time'], '6*batch*time'],
    [['(batch+2)', 3], '3*(batch+2)'],
    [['(2*batch+1)', '2*time'], '2*(2*batch+1)*time'],
  ])('%j has %s elements', (shape, size) => {
    expect(sizeOf(shape)).toBe(size)
  })
})

describe('divideDim', () => {
  it.each<[Dim, Dim, Dim | undefined]>([
    [12, 4, 3],
    [12, 5, undefined],
    [12, 0, undefined],
    ['12*batch', 4, '3*batch'],
    ['12*batch', '4*batch', 3],
    ['12*batch', 'batch', 12],
    ['12*batch', 5, undefined],
    ['12*batch', 'time', undefined],
    ['batch*batch', 'batch', 'batch'],
    [12, 'batch', undefined],
    ['3*(batch+2)', '(batch+2)', 3],
    ['(4*batch)', 2, undefined],
  ])('%s ÷ %s = %s', (total, part, quotient) => {
    expect(divideDim(total, part)).toBe(quotient)
  })
})

describe('addDims', () => {
  it.each<[Dim, Dim, Dim]>([
    [2, 3, 5],
    ['batch', 0, 'batch'],
    ['batch', 2, '(batch+2)'],
    [2, 'batch', '(batch+2)'],
    ['batch', -2, '(batch-2)'],
    ['(batch+2)', 3, '(batch+5)'],
    ['(batch+2)', -2, 'batch'],
    ['(batch-1)', 1, 'batch'],
    ['(batch+2)', -5, '(batch-3)'],
    ['3*batch', 2, '(3*batch+2)'],
    ['(3*batch+2)', -2, '3*batch'],
    ['time', 'batch', '(batch+time)'],
    ['(batch+time)', 2, '((batch+time)+2)'],
    ['2*(batch+2)', 1, '(2*(batch+2)+1)'],
    // A product of two sums is no sum, though it begins and ends like one.
    ['(batch+2)*(time+3)', -3, '((batch+2)*(time+3)-3)'],
    ['((batch+2)*(time+3)-3)', 3, '(batch+2)*(time+3)'],
  ])('%s + %s = %s', (a, b, sum) => {
    expect(addDims(a, b)).toBe(sum)
  })
})

describe('broadcastShapes', () => {
  it.each<[Shape[], Shape | undefined]>([
    [[], []],
    [
      [[2, 3], [3]],
      [2, 3],
    ],
    [
      [[2, 1], [4]],
      [2, 4],
    ],
    [[[], [2]], [2]],
    [
      [['batch', 1], [3]],
      ['batch', 3],
    ],
    [
      [
        ['batch', 3],
        ['batch', 3],
      ],
      ['batch', 3],
    ],
    [[['batch'], [1]], ['batch']],
    // A symbol beside a number is that number, or 1.
    [[['batch'], [5]], [5]],
    [[[2], [3]], undefined],
    [[[1], [0]], [0]],
    [
      [[5, 1, 1], [1, 4, 1], [3]],
      [5, 4, 3],
    ],
  ])('%j → %j', (shapes, result) => {
    expect(broadcastShapes(...shapes)).toEqual(result)
  })

  it('does not know what two symbols come to', () => {
    const [dim] = broadcastShapes(['batch'], ['time'])!
    expect(isUnknown(dim!)).toBe(true)
    expect(broadcastShapes(['batch'], ['time'])).not.toEqual([dim])
  })
})

describe('small things', () => {
  it('counts axes from both ends', () => {
    expect([0, 2, -1, -3, 3, -4, 0.5].map((axis) => normalizeAxis(axis, 3))).toEqual([
      0,
      2,
      2,
      0,
      undefined,
      undefined,
      undefined,
    ])
  })

  it('compares, prints, and knows what is static', () => {
    expect(sameShape(['batch', 2], ['batch', 2])).toBe(true)
    expect(sameShape(['batch', 2], ['batch'])).toBe(false)
    expect(sameShape([2], ['batch'])).toBe(false)
    expect(formatShape(['batch', 3])).toBe('[batch, 3]')
    expect([isStatic([2, 3]), isStatic(['batch'])]).toEqual([true, false])
  })

  it('strides count elements, last axis fastest', () => {
    expect(stridesOf([2, 3, 4])).toEqual([12, 4, 1])
    expect(stridesOf([])).toEqual([])
  })
})
