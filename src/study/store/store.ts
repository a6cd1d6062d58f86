// A place that several machines share: named bytes, in a folder or in S3-compatible storage.

import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { messageOf, UserError } from '../../core/errors.js'
import { makeFolder } from '../../driver/folders.js'
import { folderStore } from './folder.js'

/** A key is names with slashes between them, each of letters, digits, `.`, `_` and `-`, none of them `.` or `..`. */
export interface Store {
  /** How its user called it. */
  readonly name: string
  /** How to call what is below a key. */
  address(key: string): string
  /** Undefined where there is nothing. */
  read(key: string): Promise<Uint8Array | undefined>
  /** Replaces the content as a whole: a reader sees the old or the new one. */
  write(key: string, content: Uint8Array): Promise<void>
  /** All keys that begin with the prefix and a slash, in the order of their characters. */
  list(prefix: string): Promise<readonly string[]>
  /** Removes these keys, where they are there. */
  remove(keys: readonly string[]): Promise<void>
}

/**
 * Opens a store and tries it: writes, reads, lists and removes a key of its own.
 * @param name a folder, created when it is not there, or `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`, the query optional
 * @throws UserError when it cannot be used, in one line that says why
 */
export async function openStore(name: string): Promise<Store> {
  const [, scheme] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(name) ?? []
  if (scheme !== undefined && scheme !== 's3')
    throw new UserError(`the store ${name} is neither a folder nor s3://BUCKET/PREFIX: give one of these`)
  // Its client takes a while to load.
  const store = scheme === undefined ? folderStore(name) : (await import('./s3.js')).s3Store(name)
  const folder = `trial-${randomUUID()}`
  const key = `${folder}/file`
  const content = Buffer.from(folder)
  try {
    if (scheme === undefined) await makeFolder(resolve(name))
    await store.write(key, content)
    const found = await store.read(key)
    const keys = await store.list(folder)
    await store.remove([key])
    if (!found || !content.equals(found) || keys.join() !== key)
      throw new Error('what was written to it is not what is read from it')
  } catch (error) {
    throw new UserError(`the store ${name} cannot be used: ${messageOf(error)}; give one that you may write to`)
  }
  return store
}
