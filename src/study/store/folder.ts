// A store in a folder, which machines share by a network file system.

import { randomUUID } from 'node:crypto'
import { readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { makeFolder } from '../../driver/folders.js'
import { cannotWrite } from '../../driver/output.js'
import { isKey } from './keys.js'
import type { Store } from './store.js'

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT'

/** Half-written files begin with it, and no key does. */
const temporary = '.new-'

/** @param folder that is there */
export function folderStore(folder: string): Store {
  const root = resolve(folder)
  const pathOf = (key: string) => join(root, ...key.split('/'))
  /** A folder that is away, as a network's is at times, is not a store without keys, and is not made anew. */
  const requireRoot = () => stat(root)
  /** Undefined where there is nothing, which is asked again: the folder may have been away for that moment. */
  const lookedUp = async <T>(look: () => Promise<T>): Promise<T | undefined> => {
    for (let again = true; ; again = false)
      try {
        return await look()
      } catch (error) {
        if (!isMissing(error)) throw error
        await requireRoot()
        if (!again) return undefined
      }
  }
  return {
    name: folder,
    address: (key) => join(folder, ...key.split('/')),
    read: (key) => lookedUp(() => readFile(pathOf(key))),
    async write(key, content) {
      const path = pathOf(key)
      await requireRoot()
      await makeFolder(dirname(path))
      // Several machines may write one key at the same time, each to a file of its own.
      const fresh = join(dirname(path), `${temporary}${randomUUID()}`)
      try {
        await writeFile(fresh, content, { flush: true })
        await rename(fresh, path)
      } catch (error) {
        await rm(fresh, { force: true }).catch(() => {})
        throw cannotWrite(path, error)
      }
    },
    async list(prefix) {
      const keys = await lookedUp(() => filesBelow(pathOf(prefix), prefix))
      return (keys ?? []).filter(isKey).sort()
    },
    async remove(keys) {
      await requireRoot()
      for (const key of keys) {
        await rm(pathOf(key), { force: true })
        // A store has no folders: one that nothing is left in is gone.
        for (let above = dirname(pathOf(key)); above.length > root.length; above = dirname(above)) {
          const left = await rmdir(above).catch((error: unknown) => !isMissing(error))
          if (left) break
        }
      }
    },
  }
}

async function filesBelow(path: string, key: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true })
  const below = entries
    .filter(({ name }) => !name.startsWith(temporary))
    .map(async (entry) => {
      const own = `${key}/${entry.name}`
      if (!entry.isDirectory()) return [own]
      // Others remove what nothing is left in.
      return filesBelow(join(path, entry.name), own).catch((error: unknown) => {
        if (isMissing(error)) return []
        throw error
      })
    })
  const keys = (await Promise.all(below)).flat()
  // Had the folder been away in the middle, the rest would have been missing.
  await stat(path)
  return keys
}
