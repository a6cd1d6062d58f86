// What goes wrong, in a line.

import { messageOf, UserError } from '../../core/errors.js'

/** For people to read: what they gave does not fit, or that the fault is ours. */
export const lineOf = (error: unknown): string =>
  error instanceof UserError ? error.message : `This page failed: ${messageOf(error)}`
