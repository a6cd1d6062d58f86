// A store in a folder, which machines share by a network file system.

import { randomUUID } from 'node:crypto'
import { readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { makeFolder } from '../../driver/folders.js'
import { cannotWrite } from '../../driver/output.js'
import type { Store } from './store.js'

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT'

/** Half-written files begin with it, and no key does. */
const temporary = '.new-'

export function folderStore(folder: string): Store {
  const root = resolve(folder)
  const pathOf = (key: string) => join(root, ...key.split('/'))
  return {
    name: folder,
    address: (key) => join(folder, ...key.split('/')),
    async read(key) {
      try {
        return await readFile(pathOf(key))
      } catch (error) {
        if (isMissing(error)) return undefined
        throw error
      }
    },
    async write(key, content) {
      const path = pathOf(key)
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
      const keys = await filesBelow(pathOf(prefix), prefix)
      return keys.sort()
    },
    async remove(keys) {
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
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    if (isMissing(error)) return []
    throw error
  })
  const below = entries
    .filter(({ name }) => !name.startsWith(temporary))
    .map(async (entry) => {
      const own = `${key}/${entry.name}`
      return entry.isDirectory() ? filesBelow(join(path, entry.name), own) : [own]
    })
  return (await Promise.all(below)).flat()
}
