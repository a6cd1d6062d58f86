import { expect, test } from 'vitest'
import { faultsOf } from './support.js'

test('a long run needs in the end what it needed in the beginning', { timeout: 600_000 }, async () => {
  expect(await faultsOf('long')).toEqual([])
})
