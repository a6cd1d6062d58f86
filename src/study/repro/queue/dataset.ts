// The data of jobs, in the store: data/SHA256/FILE, the files of the data set as they are.

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../../../core/errors.js'
import { filesOf, findDataset, readCifar } from '../../../driver/data/cifar.js'
import type { Dataset } from '../../../driver/data/dataset.js'
import { writeAtomically } from '../../../driver/run/files.js'
import { dataFingerprint } from '../../../driver/run/runFolder.js'
import type { Store } from '../../store/store.js'

const prefixOf = (sha256: string) => `data/${sha256}`

/** Puts the files of a data set into the store, where they are not there yet. */
export async function shareData(store: Store, path: string, sha256: string): Promise<void> {
  const { folder, layout } = await findDataset(path)
  const there = new Set(await store.list(prefixOf(sha256)))
  for (const name of filesOf(layout)) {
    const key = `${prefixOf(sha256)}/${name}`
    if (!there.has(key)) await store.write(key, await readFile(join(folder, name)))
  }
}

/** Reads data sets from the store; the last one stays in memory, for jobs that follow each other mostly share it. */
export class SharedData {
  #last: { readonly sha256: string; readonly data: Promise<Dataset> } | undefined

  constructor(private readonly store: Store) {}

  /** @throws UserError when the store does not have it, or another */
  async get(sha256: string): Promise<Dataset> {
    if (this.#last?.sha256 !== sha256) this.#last = { sha256, data: this.#read(sha256) }
    const asked = this.#last
    try {
      return await asked.data
    } catch (error) {
      // Asked for again, it is read again.
      if (this.#last === asked) this.#last = undefined
      throw error
    }
  }

  async #read(sha256: string): Promise<Dataset> {
    const keys = await this.store.list(prefixOf(sha256))
    if (keys.length === 0)
      throw new UserError(
        `the store ${this.store.name} does not have the data of the job (${prefixOf(sha256)}): give rdm-worker the store ` +
          'that rdm-repro was given',
      )
    const folder = await mkdtemp(join(tmpdir(), 'rdm-data-'))
    try {
      for (const key of keys) {
        const content = await this.store.read(key)
        if (content) await writeAtomically(join(folder, key.split('/').at(-1)!), content)
      }
      const data = await readCifar(folder)
      if (dataFingerprint(data) === sha256) return data
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
    throw new UserError(
      `the data in the store (${this.store.name}, ${prefixOf(sha256)}) are not what their name says: remove them`,
    )
  }
}
