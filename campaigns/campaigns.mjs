// Name → campaign: {title, about, run({short, seed, folder, say}) → {columns, rows, faults}}. A fault is a line that says what broke its
// promise; `folder` is its own, and is kept where there are faults.

import { disk } from './disk.mjs'
import { killed } from './killed.mjs'

export const campaigns = { killed, disk }
