/**
 * Bad input: something a user gave (an argument, a file, a network description) does not fit.
 * The message is one line that names the thing, what was expected and what to do. Commands print it and exit with 2.
 */
export class UserError extends Error {
  override name = 'UserError'
}

/** Text of any thrown thing, for building a one-line message around it. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
