import { expect, test } from 'vitest'
import { faultsOf } from './support.js'

test('hostile names and files get nothing out or in', { timeout: 900_000 }, async () => {
  expect(await faultsOf('security')).toEqual([])
})
