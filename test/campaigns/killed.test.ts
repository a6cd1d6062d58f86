import { expect, test } from 'vitest'
import { faultsOf } from './support.js'

test('commands that are killed at drawn moments end in the same bytes, and leave no half file', {
  timeout: 900_000,
}, async () => {
  expect(await faultsOf('killed')).toEqual([])
})
