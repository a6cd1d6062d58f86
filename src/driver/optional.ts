// Packages that are installed by those who use what they are for.

import { messageOf, UserError } from '../core/errors.js'

/** Package → what needs it, in messages. */
const optionalPackages: Readonly<Record<string, string>> = {
  '@aws-sdk/client-s3': 'a store in S3 needs',
  bullmq: 'the queue of jobs needs',
  echarts: 'charts need',
  ioredis: 'the queue of jobs needs',
  sharp: 'image files need',
}

/** Which of them an import has failed for. */
function missingPackage(error: unknown): string | undefined {
  const isMissing = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
  const [, name = ''] = isMissing ? (/Cannot find package '([^']+)'/.exec(messageOf(error)) ?? []) : []
  return Object.hasOwn(optionalPackages, name) ? name : undefined
}

/** What to install, in a line, where an import has failed for one of them. */
export function installHint(error: unknown): string | undefined {
  const name = missingPackage(error)
  return name && `${optionalPackages[name]} the package ${name}, which is not installed: npm install ${name}`
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
