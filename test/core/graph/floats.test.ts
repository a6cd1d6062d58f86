// Floats of 16 bits and fewer are those of the package ml_dtypes (test/fixtures/floats/write.py).
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { floatCodes } from '../../../src/core/graph/floats.js'

type Written = number | 'nan' | 'inf' | '-inf'
type Pairs<T> = readonly (readonly [T, Written])[]
const tables: Readonly<Record<string, { readonly decoded: Pairs<number>; readonly rounded: Pairs<Written> }>> =
  JSON.parse(readFileSync(new URL('../../fixtures/floats/floats.json', import.meta.url), 'utf8'))
const numberOf = (value: Written): number =>
  typeof value === 'number' ? value : Number(value.replace('inf', 'Infinity'))

it('powers of two are rounded as ONNX says', () => {
  const { encode, decode } = floatCodes.float8e8m0
  const cast = (values: readonly number[], ...how: [boolean, 'up' | 'down' | 'nearest']) =>
    values.map((value) => decode(encode(value, ...how)))
  const { NaN: nan, POSITIVE_INFINITY: infinity } = Number
  // The table of Cast-24.
  const special = [0, nan, infinity, 2 ** 127 * 1.5, 2 ** -130]
  expect(cast(special, true, 'up')).toEqual([2 ** -127, nan, 2 ** 127, 2 ** 127, 2 ** -127])
  expect(cast(special, false, 'nearest')).toEqual([nan, nan, nan, nan, nan])
  expect(cast([1, 1.1, 1.5, 1.9, 6], true, 'up')).toEqual([1, 2, 2, 2, 8])
  expect(cast([1, 1.1, 1.5, 1.9, 6], true, 'down')).toEqual([1, 1, 1, 1, 4])
  expect(cast([1, 1.1, 1.5, 1.9, 6], true, 'nearest')).toEqual([1, 1, 2, 2, 8])
})

describe.each(Object.entries(floatCodes))('%s', (name, { encode, decode, max }) => {
  const { decoded, rounded } = tables[name]!
  it('has the numbers of its bits', () => {
    expect(decoded.map(([code]) => decode(code))).toEqual(decoded.map(([, value]) => numberOf(value)))
    expect(Math.max(...decoded.map(([code]) => decode(code)).filter(Number.isFinite))).toBeLessThanOrEqual(max)
  })
  it('gets its numbers back', () => {
    for (const [code] of decoded)
      if (!Number.isNaN(decode(code))) expect(encode(decode(code), false, 'nearest')).toBe(code)
  })
  it('is rounded to the nearest, ties to even', () => {
    const back = rounded.map(([value]) => decode(encode(numberOf(value), false, 'nearest')))
    expect(back).toEqual(rounded.map(([, value]) => numberOf(value)))
  })
})
