// Name → campaign: {title, about, run({short, seed, folder, say}) → {columns, rows, faults}}. A fault is a line that says what broke its
// promise; `folder` is its own, and is kept where there are faults.

import * as accepted from './accepted.mjs'
import * as inputs from './inputs.mjs'
import * as numbers from './numbers.mjs'

export const campaigns = { inputs, accepted, numbers }
