/**
 * Bad input: something a user gave (an argument, a file, a network description) does not fit.
 * The message is one line that names the thing, what was expected and what to do. Commands print it and exit with 2.
 */
export class UserError extends Error {
  override name = 'UserError'
}

/**
 * Text of any thrown thing, for building a one-line message around it. A host of several addresses, none of which answers,
 * gives one error without words for all of them.
 */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return messageOf(error.errors[0])
  return error instanceof Error ? error.message : String(error)
}

/** File names and names in files may hold anything: a message is one line of printable text, and not endless. */
const printable = (text: string): string => {
  const line = text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ')
  return line.length > 1000 ? `${line.slice(0, 1000)} …` : line
}

/** Runs `read`; what it refuses names the file. */
export function naming<T>(source: string | undefined, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof UserError)
      error.message = printable(source === undefined ? error.message : `${source}: ${error.message}`)
    throw error
  }
}

/** What zod finds wrong with a value: `path: message; …`. */
export const describeIssues = ({
  issues,
}: {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[]
}): string =>
  issues
    .map(({ path, message }) => (path.length > 0 ? `${path.map(String).join('.')}: ${message}` : message))
    .join('; ')
