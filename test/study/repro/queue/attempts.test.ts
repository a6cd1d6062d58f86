// Runs in the store: what a worker goes on from, what is passed over, what is fetched. And the data beside them.
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { UserError } from '../../../../src/core/errors.js'
import { readCifar } from '../../../../src/driver/data/cifar.js'
import { dataFingerprint } from '../../../../src/driver/run/runFolder.js'
import {
  Attempt,
  collect,
  furthestStep,
  hasResult,
  removeOthers,
  takeUp,
} from '../../../../src/study/repro/queue/attempts.js'
import { SharedData, shareData } from '../../../../src/study/repro/queue/dataset.js'
import { openStore, type Store } from '../../../../src/study/store/store.js'
import { exportTiny, run, synthesizeTiny } from '../../../cli/support.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-attempts-'))
afterAll(() => rmSync(root, { recursive: true }))

let data: string
/** A run after 2, 4 and 6 steps: the last one of these is its end. */
const folders = [2, 4, 6].map((steps) => join(root, `run-${steps}`))
let store: Store
const key = 'tiny.seed-1.0123456789abcdef'

beforeAll(async () => {
  data = synthesizeTiny(root)
  const model = exportTiny(root)
  const argv = ['--data', data, '--batch', '8', '--threads', '1', '--target', 'portable', '--epochs', '2']
  folders.forEach((folder, i) => {
    const steps = ['--steps', `${2 * (i + 1)}`]
    if (i > 0) cpSync(folders[i - 1]!, folder, { recursive: true })
    const what = i > 0 ? ['--resume'] : [model, ...argv]
    const { code, err } = run('rdm-fit', [...what, '--out', folder, ...steps])
    if (code !== 0) throw new Error(err)
  })
  store = await openStore(join(root, 'store'))
})

const bytesOf = (folder: string, names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'latin1')]))
const sources = ['initial.onnx', 'config.json', 'checkpoint.safetensors']

describe('an attempt', () => {
  it('is found by how far it is, and is the whole of what a run goes on from', async () => {
    const into = join(root, 'worker', 'seed-1')
    expect(await furthestStep(store, key)).toBe(-1)
    expect(await takeUp(store, key, into)).toEqual([])
    expect(existsSync(into)).toBe(false)
    for (const i of [1, 0]) await new Attempt(store, key, i, folders[i]!).save()
    expect(await furthestStep(store, key)).toBe(4)
    expect(await takeUp(store, key, into)).toEqual([])
    expect(bytesOf(into, sources)).toEqual(bytesOf(folders[1]!, sources))
    // Everything else follows from these, and is written again.
    expect(readdirSync(into).sort()).toEqual([...sources].sort())
    // Of another job nothing is taken.
    expect(await furthestStep(store, 'tiny.seed-2.0123456789abcdef')).toBe(-1)
  })

  it('copies what is new, and only that', async () => {
    const folder = join(root, 'growing')
    cpSync(folders[0]!, folder, { recursive: true })
    const written: string[] = []
    const spy: Store = {
      ...store,
      write: (path, content) => {
        written.push(path.split('/').at(-1)!)
        return store.write(path, content)
      },
    }
    const attempt = new Attempt(spy, 'growing', 1, folder)
    await attempt.save()
    expect(written).toEqual([
      'initial.onnx',
      'config.json',
      'checkpoint.safetensors',
      'metrics.jsonl',
      'model.onnx',
      'progress.json',
    ])
    written.length = 0
    await attempt.save()
    expect(written).toEqual(['progress.json'])
    written.length = 0
    cpSync(join(folders[1]!, 'checkpoint.safetensors'), join(folder, 'checkpoint.safetensors'))
    await attempt.save()
    expect(written).toEqual(['checkpoint.safetensors', 'progress.json'])
    expect(await furthestStep(store, 'growing')).toBe(4)
  })

  it('that is damaged is passed over, and told of', async () => {
    const damaged = new Attempt(store, key, 7, folders[2]!)
    await damaged.save()
    const path = join(root, 'store/runs', key, damaged.name)
    const into = join(root, 'damaged', 'seed-1')
    writeFileSync(join(path, 'checkpoint.safetensors'), 'torn')
    const [told, ...rest] = await takeUp(store, key, into)
    expect(rest).toEqual([])
    expect(told).toMatch(
      new RegExp(`^attempt ${damaged.name} in the store is passed over: .*checkpoint.safetensors is damaged`),
    )
    expect(bytesOf(into, sources)).toEqual(bytesOf(folders[1]!, sources))

    rmSync(join(path, 'config.json'))
    expect(await takeUp(store, key, into)).toEqual([
      `attempt ${damaged.name} in the store is passed over: the store ${store.name} has no config.json of attempt ${damaged.name} of ${key}`,
    ])
    writeFileSync(join(path, 'progress.json'), '{')
    expect(await takeUp(store, key, into)).toEqual([])
    // Where all are damaged, the run begins anew.
    await new Attempt(store, 'alone', 1, folders[0]!).save()
    const [alone] = readdirSync(join(root, 'store/runs/alone'))
    writeFileSync(join(root, 'store/runs/alone', alone!, 'checkpoint.safetensors'), '')
    expect(await takeUp(store, 'alone', into)).toHaveLength(1)
    expect(existsSync(into)).toBe(false)
  })

  it('that is the result is fetched, and stays when the others go', async () => {
    const own = 'done.seed-1.0123456789abcdef'
    const [early, last] = [new Attempt(store, own, 1, folders[0]!), new Attempt(store, own, 2, folders[2]!)]
    for (const attempt of [early, last]) await attempt.save()
    const into = join(root, 'out', 'seed-1')
    const names = [...sources, 'timing.jsonl', 'metrics.jsonl', 'model.onnx', 'curves.svg']
    expect(await hasResult(store, own, last.name)).toBe(true)
    expect(await hasResult(store, own, '3-never')).toBe(false)
    await collect(store, own, last.name, into)
    expect(bytesOf(into, names)).toEqual(bytesOf(folders[2]!, names))
    await removeOthers(store, own, last.name)
    expect(readdirSync(join(root, 'store/runs', own))).toEqual([last.name])
    const missing = collect(store, own, early.name, into)
    await expect(missing).rejects.toThrow(UserError)
    await expect(missing).rejects.toThrow(
      `the store ${store.name} has no initial.onnx of attempt ${early.name} of ${own}`,
    )
  })
})

describe('data in the store', () => {
  it('are those that were put there, read once for jobs that follow each other', async () => {
    const set = await readCifar(data)
    const sha256 = dataFingerprint(set)
    await shareData(store, data, sha256)
    const shared = new SharedData(store)
    const [one, two] = await Promise.all([shared.get(sha256), shared.get(sha256)])
    expect(one).toBe(two)
    expect(one).toEqual(set)
  })

  it('are refused where they are missing or others, and looked for again', async () => {
    const shared = new SharedData(store)
    const sha256 = 'f'.repeat(64)
    await expect(shared.get(sha256)).rejects.toThrow(
      `the store ${store.name} does not have the data of the job (data/${sha256}): give rdm-worker the store that rdm-repro was given`,
    )
    await shareData(store, data, sha256)
    await expect(shared.get(sha256)).rejects.toThrow(
      `the data in the store (${store.name}, data/${sha256}) are not what their name says: remove them`,
    )
  })
})
