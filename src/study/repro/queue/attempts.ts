// Runs in the store. Whoever works on a job writes to an attempt of its own, runs/KEY/ATTEMPT/FILE, and to no other: a worker
// that was taken for dead and comes back cannot spoil what another has made since. Which attempt is the result is decided by
// the queue alone.

import { randomUUID } from 'node:crypto'
import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { UserError } from '../../../core/errors.js'
import { makeFolder } from '../../../driver/folders.js'
import { checkpointFiles, loadCheckpoint, readProgress } from '../../../driver/run/checkpoint.js'
import { writeAtomically } from '../../../driver/run/files.js'
import { runFiles } from '../../../driver/run/runFolder.js'
import type { Store } from '../../store/store.js'

const { initial, config, timing, metrics, model, curves } = runFiles
const [checkpoint] = checkpointFiles
/** What a run goes on from: everything else in its folder follows from these. */
const sources = [initial, config, checkpoint, timing]
/** In the order in which a run folder gets them. */
const files = [...sources, metrics, model, curves]
/** A run that ended within its first epoch has no others. */
const required: readonly string[] = [initial, config, checkpoint, model]

/** Written last: how far the files beside it are, at least. */
const PROGRESS = 'progress.json'
const progressSchema = z.strictObject({ step: z.int().min(0) })

const prefixOf = (key: string) => `runs/${key}`

/** One worker's part of a job: its run folder, copied to the store. */
export class Attempt {
  readonly name: string
  /** Where its files are. */
  readonly address: string
  readonly #copied = new Map<string, string>()

  /** @param number how many began before it: for people who look into the store */
  constructor(
    private readonly store: Store,
    readonly key: string,
    number: number,
    private readonly folder: string,
  ) {
    this.name = `${number}-${randomUUID().slice(0, 8)}`
    this.address = store.address(`${prefixOf(key)}/${this.name}`)
  }

  /** Copies what is new in the run folder. */
  async save(): Promise<void> {
    for (const name of files) {
      const path = join(this.folder, name)
      const found = await stat(path).catch(() => undefined)
      if (!found) continue
      // A file that was replaced is another one, whatever its time says.
      const version = [found.ino, found.size, found.mtimeMs].join()
      if (this.#copied.get(name) === version) continue
      await this.store.write(this.#keyOf(name), await readFile(path))
      this.#copied.set(name, version)
    }
    const { step } = (await readProgress(this.folder)) ?? { step: 0 }
    await this.store.write(this.#keyOf(PROGRESS), Buffer.from(JSON.stringify({ step })))
  }

  #keyOf(file: string): string {
    return `${prefixOf(this.key)}/${this.name}/${file}`
  }
}

interface Found {
  readonly name: string
  readonly step: number
}

/** The attempts of a job that have a checkpoint, the one that is furthest first. */
async function attemptsOf(store: Store, key: string): Promise<readonly Found[]> {
  const found: Found[] = []
  for (const path of await store.list(prefixOf(key))) {
    const [name, file] = path.slice(prefixOf(key).length + 1).split('/')
    if (file !== PROGRESS) continue
    const text = Buffer.from((await store.read(path)) ?? []).toString()
    const progress = progressSchema.safeParse(parseJson(text))
    if (progress.success) found.push({ name: name!, step: progress.data.step })
  }
  return found.sort((a, b) => b.step - a.step || (a.name < b.name ? 1 : -1))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Steps of the attempt that is furthest; −1 where there is none. */
export const furthestStep = async (store: Store, key: string): Promise<number> =>
  (await attemptsOf(store, key))[0]?.step ?? -1

/**
 * Puts the run of the attempt that is furthest into a folder, whose content it replaces, to go on with it. One that is
 * damaged is passed over.
 * @returns why attempts were passed over
 */
export async function takeUp(store: Store, key: string, folder: string): Promise<readonly string[]> {
  const damaged: string[] = []
  for (const { name } of await attemptsOf(store, key)) {
    try {
      await rm(folder, { recursive: true, force: true })
      await copyFiles(store, key, name, sources, folder)
      await loadCheckpoint(folder)
      return damaged
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      damaged.push(`attempt ${name} in the store is passed over: ${error.message}`)
    }
  }
  await rm(folder, { recursive: true, force: true })
  return damaged
}

async function copyFiles(store: Store, key: string, attempt: string, names: readonly string[], folder: string) {
  await makeFolder(folder)
  for (const name of names) {
    const content = await store.read(`${prefixOf(key)}/${attempt}/${name}`)
    if (content) await writeAtomically(join(folder, name), content)
    else if (required.includes(name))
      throw new UserError(`the store ${store.name} has no ${name} of attempt ${attempt} of ${key}`)
  }
}

/**
 * Puts the result of a job into its run folder.
 * @throws UserError when the store does not have all of it
 */
export const collect = (store: Store, key: string, attempt: string, folder: string): Promise<void> =>
  copyFiles(store, key, attempt, files, folder)

/** Whether the store has a model that an attempt ended with. */
export const hasResult = async (store: Store, key: string, attempt: string): Promise<boolean> =>
  (await store.list(`${prefixOf(key)}/${attempt}`)).some((path) => path.endsWith(`/${model}`))

/** Removes all attempts but one. */
export async function removeOthers(store: Store, key: string, attempt: string): Promise<void> {
  const kept = `${prefixOf(key)}/${attempt}/`
  await store.remove((await store.list(prefixOf(key))).filter((path) => !path.startsWith(kept)))
}
