import { expect, test } from 'vitest'
import { faultsOf } from './support.js'

test('numbers at the edge train as in float64, or are refused in a line', { timeout: 600_000 }, async () => {
  expect(await faultsOf('numbers')).toEqual([])
})
