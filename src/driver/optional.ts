// Packages that are installed by those who use what they are for.

import { createRequire } from 'node:module'
import { messageOf, UserError } from '../core/errors.js'

/** Package → what needs it, in messages. */
const optionalPackages: Readonly<Record<string, string>> = {
  '@aws-sdk/client-s3': 'a store in S3 needs',
  bullmq: 'the queue of jobs needs',
  echarts: 'charts need',
  ioredis: 'the queue of jobs needs',
  sharp: 'image files need',
}

/** Which of them an import has failed for, in the words of Node, Bun or Deno. */
function missingPackage(error: unknown): string | undefined {
  const isMissing = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
  const [, name = ''] = isMissing ? (/(?:Cannot|Could not) find package '([^']+)'/.exec(messageOf(error)) ?? []) : []
  return Object.hasOwn(optionalPackages, name) ? name : undefined
}

/** What to install, in a line, where an import has failed for one of them. */
export function installHint(error: unknown): string | undefined {
  const name = missingPackage(error)
  return name && `${optionalPackages[name]} the package ${name}, which is not installed: npm install ${name}`
}

const { resolve } = createRequire(import.meta.url)
function isInstalled(name: string): boolean {
  try {
    resolve(name)
    return true
  } catch (error) {
    // A package for `import` alone is there as well: it says that it has nothing for us.
    return !(error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND')
  }
}

/**
 * Asks for all packages of a purpose at once, before long work and before one of them is loaded.
 * @param purpose what needs them, such as 'a report needs'
 * @throws UserError that names every one that is not installed
 */
export function requirePackages(purpose: string, names: readonly string[], isThere = isInstalled): void {
  const missing = names.filter((name) => !isThere(name))
  if (missing.length === 0) return
  const packages =
    missing.length > 1 ? `the packages ${missing.join(' and ')}, which are` : `the package ${missing[0]}, which is`
  throw new UserError(`${purpose} ${packages} not installed: npm install ${missing.join(' ')}`)
}

/** @throws UserError saying what to install where the package is not there */
export async function loadOptional<T>(loading: Promise<T>): Promise<T> {
  try {
    return await loading
  } catch (error) {
    const hint = installHint(error)
    throw hint === undefined ? error : new UserError(hint)
  }
}
