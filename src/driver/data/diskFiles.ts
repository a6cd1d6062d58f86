// Files of this machine, for the readers of data sets.

import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileTree } from './formats/fileTree.js'
import { checkImages } from './imageFiles.js'

export const disk: FileTree = {
  async find(path) {
    const found = await stat(path).catch(() => undefined)
    if (found?.isFile()) return { kind: 'file', size: found.size }
    return found && { kind: found.isDirectory() ? 'folder' : 'other' }
  },
  list: (folder) => readdir(folder),
  join,
  async *bytes(path, begin = 0, end = Number.POSITIVE_INFINITY) {
    if (begin < end) yield* createReadStream(path, { start: begin, end: end - 1 })
  },
  checkImages,
}
