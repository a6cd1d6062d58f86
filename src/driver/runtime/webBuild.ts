// Where onnxruntime-web's training build lies. The package is an optional dependency.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { UserError } from '../../core/errors.js'

/** The last release that has a training build. */
export const WEB_VERSION = '1.19.2'

/** The version that is installed for a module, and the folder of its files; undefined when there is none. */
export function installedWeb(
  from: string = import.meta.url,
): { readonly version: string; readonly folder: string } | undefined {
  try {
    // The package gives Node no way to its training build: the files are named.
    const folder = dirname(createRequire(from).resolve('onnxruntime-web'))
    const { version } = JSON.parse(readFileSync(join(folder, '..', 'package.json'), 'utf8')) as { version: string }
    return { version, folder }
  } catch {
    return undefined
  }
}

/**
 * The folder of the build's files.
 * @throws UserError when it is not there
 */
export function findWebBuild(from?: string): string {
  const installed = installedWeb(from)
  if (installed?.version === WEB_VERSION) return installed.folder
  const found = installed ? `${installed.version} is` : 'it is not'
  throw new UserError(
    `--runtime web-training needs onnxruntime-web ${WEB_VERSION}, the last with a training build, and ${found} installed: ` +
      `npm install onnxruntime-web@${WEB_VERSION}`,
  )
}
