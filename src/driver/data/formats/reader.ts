// What a reader of data sets is.

import type { Dataset } from '../dataset.js'
import type { ReadOptions } from '../splits.js'
import type { FileTree } from './fileTree.js'

/** One format. */
export interface Reader {
  readonly format: string
  /** What is looked for, for messages. */
  readonly looksFor: string
  /** Whether the path holds this format; a UserError where it nearly does. */
  recognizes(files: FileTree, path: string): Promise<boolean>
  read(files: FileTree, path: string, options: ReadOptions): Promise<Dataset>
}
