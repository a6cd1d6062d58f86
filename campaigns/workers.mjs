// An experiment by three workers of a queue, while workers, Redis, the lines to it and the store are taken away by turns.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { permutation, randomStream } from '../dist/src/core/random.js'
import { end, endAll, median, residentOf, runCommand, startCommand } from './support/children.mjs'
import { countCompletions } from './workers/completions.mjs'
import { faults as kinds, leadTo } from './workers/faults.mjs'
import { hasRedis, hasS3, startLine, startRedis, startS3 } from './workers/servers.mjs'

const WORKERS = 3
/** A job over which ten workers died is given up, and begun again by the same command: here that is no wonder. */
const MOST_UNLUCKY = 20
/** A checkpoint after each step: there is always something half done. */
const machine = ['--threads', '1', '--target', 'portable', '--checkpoint-seconds', '0']
const compared = ['checkpoint.safetensors', 'config.json', 'curves.svg', 'initial.onnx', 'metrics.jsonl', 'model.onnx']
const credentials = { AWS_ACCESS_KEY_ID: 'anybody', AWS_SECRET_ACCESS_KEY: 'anything' }

const networks = ['plain', 'rdm', 'narrow']
const planText = (epochs, seeds) => `format: rdm-onnx plan 1
seeds: 1..${seeds}
epochs: ${epochs}
batch: 8
lr: 0:0.01,1:0.05
models:
  - {name: plain, blocks: [1, 1], widths: [4, 4]}
  - {name: rdm, blocks: [1, 1], functions: [11, 01], widths: [4, 4]}
  - {name: narrow, blocks: [1, 1], widths: [2, 4]}
`

/** What outlives who runs in it: a place for a process that is killed and begun again. */
function placeFor(start) {
  const place = {
    running: start(),
    refused: 0,
    unlucky: 0,
    begin() {
      place.running = start()
    },
    /** Begins again what could not begin because Redis or the store was away just then, as it is to say; whether it was that. */
    beginIfRefused() {
      const { child, kept } = place.running
      const refused = child.exitCode === 2 && /cannot reach Redis at |the store \S+ cannot be used: /.test(kept.err)
      if (refused) {
        place.refused += 1
        place.begin()
      }
      return refused
    },
    /** Begins again what gave up jobs over which many workers died, or for which the store was away for long, as it says to do. */
    beginIfUnlucky() {
      const { child, kept } = place.running
      const reasons = [...kept.err.matchAll(/^\S+: failed: (.*)$/gm)].map(([, reason]) => reason)
      const unlucky =
        child.exitCode === 2 &&
        place.unlucky < MOST_UNLUCKY &&
        reasons.length + (/its result cannot be fetched: /.test(kept.err) ? 1 : 0) > 0 &&
        reasons.every((reason) => /too many workers were lost over it|ENOENT|ENOTDIR|ECONN|Timeout/i.test(reason))
      if (unlucky) {
        place.unlucky += 1
        place.begin()
      }
      return unlucky
    },
    kill: () => end(place.running),
  }
  return place
}

/** One plan on one store, disturbed from its beginning to its end. */
async function experiment({ name, folder, data, epochs, seeds, random, server, say }) {
  const own = join(folder, name)
  mkdirSync(join(own, 'redis'), { recursive: true })
  mkdirSync(join(own, 'store.folder'))
  await leadTo(join(own, 'store.folder'), join(own, 'store'))
  const plan = join(own, 'tiny.yaml')
  writeFileSync(plan, planText(epochs, seeds))
  const jobs = networks.flatMap((network) => Array.from({ length: seeds }, (_, i) => `${network}/seed-${i + 1}`))

  const store = server
    ? { server, name: `s3://bucket/${name}?endpoint=${server.endpoint}` }
    : { folder: join(own, 'store'), name: join(own, 'store') }
  const redis = await startRedis(join(own, 'redis'))
  const lines = await Promise.all(Array.from({ length: WORKERS + 1 }, () => startLine(redis.port)))
  const completions = countCompletions(redis.port)
  const address = (line) => `redis://127.0.0.1:${line.port}`
  const env = server ? credentials : {}
  const work = (line) => () =>
    startCommand(
      'rdm-worker',
      ['--redis', address(line), '--store', store.name, '--stalled-after', '5', '--json', ...machine],
      { env },
    )
  const workers = lines.slice(0, WORKERS).map((line) => Object.assign(placeFor(work(line)), { line }))
  const out = join(own, 'out')
  const argv = [plan, '--data', data, '--out', out, '--engine', 'bullmq', '--redis', address(lines[WORKERS])]
  const watcher = placeFor(() => startCommand('rdm-repro', [...argv, '--store', store.name], { env }))

  // Beside them, in peace, what they are to come to.
  const expected = join(own, 'expected')
  const alone = runCommand('rdm-repro', [plan, '--data', data, '--out', expected, ...machine])
  alone.catch(() => {})

  const begun = performance.now()
  const counts = new Map(Object.keys(kinds).map((kind) => [kind, 0]))
  const memory = []
  const died = []
  let over = false
  const sampling = (async () => {
    while (!over) {
      const [{ running }] = workers
      memory.push([performance.now() - begun, residentOf(running.child.pid)])
      // Nobody but the campaign ends workers, and they start again where one did.
      for (const place of workers) {
        const { child, kept } = place.running
        if (child.exitCode === null || place.beginIfRefused()) continue
        died.push(
          `${name}: a worker ended by itself with code ${child.exitCode}: ${kept.err.trim().split('\n').at(-1)}`,
        )
        place.begin()
      }
      await sleep(500)
    }
  })()

  let turn = []
  let watched
  for (;;) {
    const waited = sleep(3000 + random.uniform() * 5000)
    watched = await Promise.race([watcher.running.finished, waited])
    if (watched !== undefined && !watcher.beginIfRefused() && !watcher.beginIfUnlucky()) break
    if (turn.length === 0) turn = [...permutation(counts.size, random)].map((i) => [...counts.keys()][i])
    const kind = turn.pop()
    say(`${name}: ${Math.round((performance.now() - begun) / 1000)} s: ${kind}`)
    await kinds[kind]({ workers, lines, redis, store, watcher, random })
    counts.set(kind, counts.get(kind) + 1)
  }
  over = true
  await sampling
  const seconds = Math.round((performance.now() - begun) / 1000)
  await alone
  await completions.close()
  for (const { running } of workers) await end(running)
  for (const line of lines) line.close()
  await redis.kill()

  const faults = [...died]
  if (watched.code !== 0)
    faults.push(
      `${name}: rdm-repro ended with ${watched.code ?? watched.signal}: ${watched.err.trim().split('\n').at(-1)}`,
    )
  const byJob = new Map([...completions.counts].map(([key, count]) => [key.split('.').slice(0, 2).join('/'), count]))
  for (const job of jobs) {
    const times = byJob.get(job) ?? 0
    if (times !== 1) faults.push(`${name}: ${job} came to its end ${times} times, not once`)
    const differing = compared.filter((file) => !sameFile(join(out, job, file), join(expected, job, file)))
    if (differing.length > 0) faults.push(`${name}: ${job}: other bytes than undisturbed: ${differing.join(', ')}`)
  }
  const refused = [watcher, ...workers].reduce((sum, place) => sum + place.refused, 0)
  return { jobs: jobs.length, seconds, counts, refused, unlucky: watcher.unlucky, memory, faults }
}

function sameFile(a, b) {
  try {
    return readFileSync(a).equals(readFileSync(b))
  } catch {
    return false
  }
}

/** Of a worker's life, its second tenth against its last: the first is its warm-up. */
function growth(memory) {
  const tenth = (i) =>
    memory.slice(Math.floor((memory.length * i) / 10), Math.floor((memory.length * (i + 1)) / 10)).map(([, mb]) => mb)
  const [before, after] = [median(tenth(2)), median(tenth(9))]
  return { before, after, share: after / before - 1 }
}
/** Of a life of minutes; a heap that breathes is no leak. */
const MOST_GROWTH = 0.15

export const workers = {
  title: 'Workers of a queue',
  about:
    'Three `rdm-worker` processes train the jobs of a plan. By turns a worker is killed, frozen or cut off, Redis is killed, ' +
    'frozen or cut off from all, the store is out of reach, and `rdm-repro` itself is killed and begun again. Each job is to ' +
    'come to its end once, in the bytes of `rdm-repro` in one process that nobody disturbs, and the memory of a worker that ' +
    'lives through all of it is to stay.',
  async run({ short, seed, folder, say }) {
    if (!hasRedis) throw new Error('this campaign needs redis-server: apt-get install redis-server')
    try {
      const data = join(folder, 'data')
      await runCommand('rdm-data', ['synth', data, '--train', '40', '--test', '20'])
      const common = { folder, data, say }
      const random = (name) => randomStream(seed, 'workers', name)
      const found = [
        await experiment({
          ...{ ...common, name: 'folder', random: random('folder') },
          ...(short ? { epochs: 10, seeds: 2 } : { epochs: 110, seeds: 10 }),
        }),
      ]
      if (!short && hasS3) {
        const server = await startS3()
        found.push(await experiment({ ...common, name: 's3', random: random('s3'), server, epochs: 15, seeds: 2 }))
      }
      const places = ['a folder', 'S3']
      const rows = found.flatMap(({ jobs, seconds, counts, refused, unlucky, memory, faults }, i) => {
        const { before, after, share } = growth(memory)
        // A minute is warm-up.
        if (!short && i === 0 && share > MOST_GROWTH)
          faults.push(`the memory of a worker grew from ${before.toFixed(0)} to ${after.toFixed(0)} MB`)
        const place = places[i]
        return [
          [`jobs, the store ${place}`, jobs, `done in ${seconds} s`],
          ...[...counts].map(([kind, count]) => [`${kind}, the store ${place}`, count, 'went on']),
          [`begun while Redis or the store was away, the store ${place}`, refused, 'refused in one line, begun again'],
          [`rdm-repro gave jobs up after ten lost workers, the store ${place}`, unlucky, 'begun again, went on'],
          [
            `memory of a worker, the store ${place}`,
            memory.length,
            `${before.toFixed(0)} MB after its first fifth, ${after.toFixed(0)} MB at its end`,
          ],
        ]
      })
      return { columns: ['what', 'times', 'what came of it'], rows, faults: found.flatMap(({ faults }) => faults) }
    } finally {
      await endAll()
    }
  },
}
