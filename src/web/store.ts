// Where a page keeps the files of a run: the origin private file system, or memory where a browser has none for it.

import { messageOf, UserError } from '../core/errors.js'

/** The files of one run: checkpoint.safetensors, model.onnx and metrics.jsonl, as in a run folder of Node. */
export interface RunStore {
  /** What it is called in messages. */
  readonly name: string
  /** Whether the files are still there after the page was closed. */
  readonly lasts: boolean
  /** The bytes of a file; undefined where there is none. */
  read(file: string): Promise<Uint8Array | undefined>
  /** Replaces a file as a whole. @throws UserError when it cannot be written; the old content is then still there */
  write(file: string, bytes: Uint8Array): Promise<void>
  /** Removes all files of the run. */
  remove(): Promise<void>
  /**
   * Takes the store for one run.
   * @returns what gives it back; a page that is gone has given it back
   * @throws UserError while another run has it, in this page or another
   */
  lock(): Promise<() => void>
}

const inUse = (name: string) =>
  new UserError(`${name} is in use by another run, here or in another tab: stop that one first`)

/** A store that lasts as long as the page. */
export function memoryStore(name = 'memory'): RunStore {
  const kept = new Map<string, Uint8Array>()
  let locked = false
  return {
    name,
    lasts: false,
    read: async (file) => kept.get(file),
    write: async (file, bytes) => void kept.set(file, bytes),
    remove: async () => kept.clear(),
    async lock() {
      if (locked) throw inUse(name)
      locked = true
      return () => {
        locked = false
      }
    },
  }
}

const folderName = 'rdm-onnx runs'

async function runsFolder(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    const root = await navigator.storage.getDirectory()
    return 'createWritable' in FileSystemFileHandle.prototype
      ? await root.getDirectoryHandle(folderName, { create: true })
      : undefined
  } catch {
    // Not in a page without a secure origin, nor in some private windows.
    return undefined
  }
}

const isMissing = (error: unknown): boolean => error instanceof DOMException && error.name === 'NotFoundError'

/**
 * The store of a run in the origin private file system, which nobody but this origin reads; a store in memory where the browser
 * has none.
 * @param name of the run, such as `first try`
 */
export async function openStore(name: string): Promise<RunStore> {
  const runs = await runsFolder()
  if (!runs) return memoryStore(name)
  const key = encodeURIComponent(name)
  const folder = () => runs.getDirectoryHandle(key, { create: true })
  return {
    name,
    lasts: true,
    async read(file) {
      try {
        const handle = await (await folder()).getFileHandle(file)
        return new Uint8Array(await (await handle.getFile()).arrayBuffer())
      } catch (error) {
        if (isMissing(error)) return undefined
        throw error
      }
    },
    async write(file, bytes) {
      try {
        const handle = await (await folder()).getFileHandle(file, { create: true })
        // Written beside the file, which it replaces when it is closed.
        const writable = await handle.createWritable()
        await writable.write(bytes as Uint8Array<ArrayBuffer>)
        await writable.close()
      } catch (error) {
        const full = error instanceof DOMException && error.name === 'QuotaExceededError'
        throw new UserError(
          `cannot write ${file} of ${name}: ${full ? 'this origin may store no more' : messageOf(error)}; what was there before is untouched`,
        )
      }
    },
    async remove() {
      await runs.removeEntry(key, { recursive: true }).catch((error: unknown) => {
        if (!isMissing(error)) throw error
      })
    },
    lock: () =>
      new Promise((resolve, reject) => {
        navigator.locks
          .request(`${folderName}/${key}`, { ifAvailable: true }, async (lock) => {
            if (!lock) throw inUse(name)
            // Held until this is kept.
            await new Promise<void>((unlock) => resolve(unlock))
          })
          .catch(reject)
      }),
  }
}

/** The names of the runs that are kept in the origin private file system. */
export async function storedRuns(): Promise<readonly string[]> {
  const runs = await runsFolder()
  const names: string[] = []
  for await (const key of runs?.keys() ?? []) names.push(decodeURIComponent(key))
  return names.sort()
}
