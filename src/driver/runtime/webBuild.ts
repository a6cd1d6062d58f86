// Where onnxruntime-web's training build lies. The package is an optional dependency.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { UserError } from '../../core/errors.js'

/** The last release that has a training build. */
export const WEB_VERSION = '1.19.2'

/** It stands beside a current release under a name of its own; a project that has no other may have it under its own. */
const names = ['onnxruntime-web-training', 'onnxruntime-web'] as const

/** What to type for it. */
export const installWeb = `npm install ${names[0]}@npm:onnxruntime-web@${WEB_VERSION}`

interface Installed {
  readonly version: string
  /** Of its files. */
  readonly folder: string
}

function installed(name: string, from: string): Installed | undefined {
  try {
    // The package gives Node no way to its training build: the files are named.
    const folder = dirname(createRequire(from).resolve(name))
    const { version } = JSON.parse(readFileSync(join(folder, '..', 'package.json'), 'utf8')) as { version: string }
    return { version, folder }
  } catch {
    return undefined
  }
}

/** What is installed for a module: the release with the training build, or another where that one is not; undefined: none. */
export function installedWeb(from: string = import.meta.url): Installed | undefined {
  const found = names.flatMap((name) => installed(name, from) ?? [])
  return found.find(({ version }) => version === WEB_VERSION) ?? found[0]
}

/**
 * The folder of the build's files.
 * @throws UserError when it is not there
 */
export function findWebBuild(from?: string): string {
  const web = installedWeb(from)
  if (web?.version === WEB_VERSION) return web.folder
  const found = web ? `${web.version} is` : 'it is not'
  throw new UserError(
    `--runtime web-training needs onnxruntime-web ${WEB_VERSION}, the last with a training build, and ${found} installed: ` +
      installWeb,
  )
}
