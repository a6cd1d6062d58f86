import { expect, test } from 'vitest'
import { faultsOf } from './support.js'

test('what crashes the runtime or never ends stays in a process of its own', { timeout: 600_000 }, async () => {
  expect(await faultsOf('accepted')).toEqual([])
})
