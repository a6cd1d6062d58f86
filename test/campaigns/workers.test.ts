import { expect, test } from 'vitest'
import { hasRedis } from '../support/servers.js'
import { faultsOf } from './support.js'

test.runIf(hasRedis)(
  'workers that are killed, frozen and cut off end each job once',
  { timeout: 900_000 },
  async () => {
    expect(await faultsOf('workers')).toEqual([])
  },
)
