// Who watches a queue: what happens between two of its questions, and a store that is away for some of them.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { readCifar } from '../../../../src/driver/data/cifar.js'
import { readPlan } from '../../../../src/study/repro/plan.js'
import { runQueued } from '../../../../src/study/repro/queue/engine.js'
import { QUEUE } from '../../../../src/study/repro/queue/payload.js'
import { connectRedis } from '../../../../src/study/repro/queue/redis.js'
import { openStore, type Store } from '../../../../src/study/store/store.js'
import { start, synthesizeTiny } from '../../../cli/support.js'
import { hasRedis, type RunningRedis, startRedis } from '../../../support/servers.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-engine-'))
afterAll(() => rmSync(root, { recursive: true }))

const planText = `format: rdm-onnx plan 1
seeds: 1..2
epochs: 1
batch: 8
models:
  - {name: plain, blocks: [1], widths: [2]}
`

let data: string
let server: RunningRedis
let redis: Redis
let place = 0

/** Begins a worker; ends it by what it returns. */
function begun(store: Store): () => Promise<unknown> {
  const argv = ['--redis', server.url, '--store', store.name, '--threads', '1', '--target', 'portable', '--json']
  const { child, finished } = start('rdm-worker', argv)
  return () => {
    child.kill('SIGINT')
    return finished
  }
}

/** Watches the plan; what it tells, and how each job ended. */
async function watched(store: Store): Promise<{ ends: string[]; notices: string[] }> {
  const folder = join(root, `${place++}`)
  mkdirSync(folder)
  writeFileSync(join(folder, 'plan.yaml'), planText)
  const connection = await connectRedis(server.url)
  const notices: string[] = []
  try {
    const results = await runQueued({
      ...{ plan: await readPlan(join(folder, 'plan.yaml')), data: await readCifar(data), dataPath: data },
      ...{ out: join(folder, 'out'), redis: connection, store, signal: new AbortController().signal },
      onEvent: (event, job) => {
        if (event.event === 'notice') notices.push(`${job?.id}: ${event.message}`)
      },
    })
    return { ends: results.map(({ job, end }) => `${job.id} ${end}`), notices }
  } finally {
    connection.disconnect()
  }
}
const bothFinished = ['plain/seed-1 finished', 'plain/seed-2 finished']

describe.runIf(hasRedis)('watching a queue', () => {
  beforeAll(async () => {
    data = synthesizeTiny(root)
    mkdirSync(join(root, 'redis'))
    server = await startRedis(join(root, 'redis'))
    redis = await connectRedis(server.url)
  })
  afterAll(() => {
    redis.disconnect()
    return server.stop()
  })
  afterEach(async () => {
    await redis.flushall()
  })

  it.each(['getJob', 'getJobState'] as const)('takes a job whole that ends right after %s', async (question) => {
    const store = await openStore(join(root, `store-${question}`))
    const asked = Queue.prototype[question] as (id: string) => Promise<unknown>
    let stop: (() => Promise<unknown>) | undefined
    const spy = vi.spyOn(Queue.prototype, question).mockImplementation(async function (this: Queue, id: string) {
      const answer = await asked.call(this, id)
      const key = `bull:${QUEUE}:${id}`
      if (await redis.exists(key)) {
        stop ??= begun(store)
        while (!(await redis.hexists(key, 'finishedOn'))) await sleep(20)
      }
      return answer as never
    })
    try {
      expect(await watched(store)).toEqual({ ends: bothFinished, notices: [] })
    } finally {
      spy.mockRestore()
      await stop?.()
    }
  })

  it('waits for a store that is away, and tells of it', async () => {
    const store = await openStore(join(root, 'away'))
    const stop = begun(store)
    try {
      expect(await watched(store)).toEqual({ ends: bothFinished, notices: [] })
    } finally {
      await stop()
    }
    // Again, into another folder: what the queue has of the jobs is looked for in the store.
    const missed = new Set<string>()
    const once = (what: string) => {
      if (missed.has(what)) return
      missed.add(what)
      throw new Error(`${what}: the store is away`)
    }
    const flaky: Store = {
      ...store,
      async list(prefix) {
        if (prefix.startsWith('runs/plain.seed-1')) once('list')
        return store.list(prefix)
      },
      async read(key) {
        if (key.startsWith('runs/plain.seed-2')) once('read')
        return store.read(key)
      },
    }
    expect(await watched(flaky)).toEqual({
      ends: bothFinished,
      notices: [
        'plain/seed-1: it cannot be put into the queue: list: the store is away; trying again',
        'plain/seed-2: its result cannot be fetched: read: the store is away; trying again',
      ],
    })
  })

  it('says which store it cannot share the data by', async () => {
    const store = await openStore(join(root, 'gone'))
    const list = () => Promise.reject(new Error('ENOENT: no such file'))
    await expect(watched({ ...store, list })).rejects.toThrow(
      `the store ${store.name} cannot be used: ENOENT: no such file; begin again when it can`,
    )
  })
})
