// Median, mean and standard deviation of a few runs, against numbers worked out by hand.
import { expect, it } from 'vitest'
import { spreadOf } from '../../../src/driver/seeds/statistics.js'

it.each([
  // Deviations −2, −1, 3 from 4: (4 + 1 + 9)/2 = 7.
  ['an odd count, in any order', [7, 2, 3], { median: 3, mean: 4, std: Math.sqrt(7) }],
  // Deviations −3, −1, 1, 3 from 5: (9 + 1 + 1 + 9)/3.
  ['an even count: the mean of the two in the middle', [8, 2, 4, 6], { median: 5, mean: 5, std: Math.sqrt(20 / 3) }],
  ['two', [1, 2], { median: 1.5, mean: 1.5, std: Math.SQRT1_2 }],
  ['one, which has no deviation', [0.25], { median: 0.25, mean: 0.25, std: null }],
  ['equal ones', [3, 3, 3, 3], { median: 3, mean: 3, std: 0 }],
])('of %s', (_, values, expected) => {
  const given = [...values]
  const { median, mean, std } = spreadOf(values)!
  expect([median, mean]).toEqual([expected.median, expected.mean])
  if (expected.std === null) expect(std).toBeNull()
  else expect(std).toBeCloseTo(expected.std, 12)
  expect(values).toEqual(given)
})

it('is nothing for no runs, and the same for runs in another order', () => {
  expect(spreadOf([])).toBeNull()
  const errors = [0.1, 0.2, 0.3, 0.7, 0.11]
  expect(spreadOf([...errors].reverse())).toEqual(spreadOf(errors))
})
