/**
 * Bad input: something a user gave (an argument, a file, a network description) does not fit.
 * The message is one line that names the thing, what was expected and what to do. Commands print it and exit with 2.
 */
export class UserError extends Error {
  override name = 'UserError'

  constructor(message = '') {
    super(short(oneLine(message)))
  }
}

/** Names of files and in files may hold anything. */
const oneLine = (text: string): string => text.replace(/[\p{C}\p{Zl}\p{Zp}][\p{C}\p{Zl}\p{Zp}\s]*/gu, ' ')

/** They may have any length, too: what stands behind such a name is what is to be read. */
const short = (text: string): string => {
  const words = text.replace(/\S{400,}/g, (word) => `${word.slice(0, 150)}…${word.slice(-150)}`)
  return words.length > 1000 ? `${words.slice(0, 1000)} …` : words
}

/**
 * Text of any thrown thing, for building a one-line message around it. A host of several addresses, none of which answers,
 * gives one error without words for all of them.
 */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return messageOf(error.errors[0])
  return error instanceof Error ? error.message : String(error)
}

/** Runs `read`; what it refuses names the file, and is not endless. */
export function naming<T>(source: string | undefined, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof UserError)
      error.message = short(source === undefined ? error.message : `${oneLine(source)}: ${error.message}`)
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
