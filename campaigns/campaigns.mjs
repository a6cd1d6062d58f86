// Name → campaign: {title, about, run({short, seed, folder, say}) → {columns, rows, faults}}. A fault is a line that says what broke its
// promise; `folder` is its own, and is kept where there are faults.

import * as accepted from './accepted.mjs'
import { disk } from './disk.mjs'
import * as inputs from './inputs.mjs'
import { killed } from './killed.mjs'
import { long } from './long.mjs'
import * as numbers from './numbers.mjs'
import { security } from './security.mjs'
import { workers } from './workers.mjs'

export const campaigns = { killed, disk, inputs, accepted, numbers, workers, long, security }
