// What a reader of data sets is.

import type { Dataset } from './dataset.js'

/** What a user may say of data that do not say it themselves. */
export interface ReadOptions {
  /** Of a file that holds no test set: the part that is held out, by a draw of this seed. */
  readonly holdOut?: number | undefined
  readonly seed?: number | undefined
}

/** One format. */
export interface Reader {
  readonly format: string
  /** What is looked for, for messages. */
  readonly looksFor: string
  /** Whether the path holds this format; a UserError where it nearly does. */
  recognizes(path: string): Promise<boolean>
  read(path: string, options: ReadOptions): Promise<Dataset>
}
