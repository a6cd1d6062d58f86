// Packages that are installed by those who use what they are for.

import { UserError } from '../core/errors.js'

const isMissing = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  (error.code === 'ERR_MODULE_NOT_FOUND' || error.code === 'MODULE_NOT_FOUND')

/**
 * Loads an optional package.
 * @param what what it is for, in messages: `image files`
 * @throws UserError saying what to install where it is not there
 */
export async function loadOptional<T>(load: () => Promise<T>, name: string, what: string): Promise<T> {
  try {
    return await load()
  } catch (error) {
    if (!isMissing(error)) throw error
    throw new UserError(`${what} need the package ${name}, which is not installed: npm install ${name}`)
  }
}
