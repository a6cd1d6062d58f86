// How tables write numbers and masks.
import { expect, it } from 'vitest'
import { formatFunctions } from '../../../src/cli/architecture.js'
import { rounded } from '../../../src/driver/format/table.js'

it.each([
  [0n, 10, '0'],
  [9_999_999_999n, 10, '9,999,999,999'],
  [10_000_000_000n, 10, '1.00e10'],
  [3n ** 27n, 10, '7.63e12'],
  [99_949n, 4, '9.99e4'],
  [99_950n, 4, '1.00e5'],
  [12_345n, 4, '1.23e4'],
  // Beyond what a number holds.
  [2n ** 2000n, 30, '1.15e602'],
])('%d in %i digits: %s', (value, digits, text) => {
  expect(rounded(value, digits)).toBe(text)
})

it.each([
  [['11', '01'], '11,01'],
  [['11', '11', '01'], '11,11,01'],
  [['11', '11', '11', '01'], '3 × 11,01'],
  [new Array(23).fill('11'), '23 × 11'],
  [['11', '01', '10'], '11,01,10'],
])('%j: %s', (masks, text) => {
  expect(formatFunctions(masks)).toBe(text)
})
