import { expect, test } from 'vitest'
import { faultsOf } from './support.js'

test('wrong files of every kind are read, or refused in a line', { timeout: 600_000 }, async () => {
  expect(await faultsOf('inputs')).toEqual([])
})
