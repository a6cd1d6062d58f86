import { expect, test } from 'vitest'
import { faultsOf } from './support.js'

test('full disks, folders that go away, clocks that go backwards and several writers lose nothing', {
  timeout: 900_000,
}, async () => {
  expect(await faultsOf('disk')).toEqual([])
})
