import { expect, test } from 'vitest'
import { faultsOf } from './support.js'

test('a long run', { timeout: 600_000 }, async () => {
  expect(await faultsOf('long')).toEqual([])
})
