// Loaded before a command: its calendar goes backwards, by up to a year at a time, each time that it is asked.

import { randomStream } from '../../dist/src/core/random.js'

const random = randomStream(Number(process.env.RDM_CAMPAIGN_SEED), 'clock')
const YEAR = 365 * 24 * 3600 * 1000
const RealDate = Date
let now = RealDate.now()
const next = () => {
  now -= random.uniform() * YEAR * (random.uniform() < 0.1 ? 1 : 1e-6)
  return Math.floor(now)
}

globalThis.Date = class extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(next())
    else super(...given)
  }
  static now() {
    return next()
  }
}
