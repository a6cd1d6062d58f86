// An experiment by workers of a queue: killed, halted and come back, without Redis for a while, stopped in good order; in
// every case the bytes are those of the experiment in one process. With a real Redis, and storage that speaks S3's protocol.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hasRedis, hasS3, type RunningRedis, startRedis, startS3 } from '../support/servers.js'
import { type Finished, type Running, run, start, synthesizeTiny } from './support.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-worker-test-'))
afterAll(() => rmSync(root, { recursive: true }))

const models = `models:
  - {name: plain, blocks: [1, 1], widths: [4, 4]}
  - {name: rdm, blocks: [1, 1], functions: [11, 01], widths: [4, 4]}
`
const planText = `format: rdm-onnx plan 1
seeds: 1..2
epochs: 4
batch: 8
lr: 0:0.01,1:0.05
${models}`
const idsOf = (seeds: readonly number[]) => seeds.flatMap((seed) => [`plain/seed-${seed}`, `rdm/seed-${seed}`])
const ids = idsOf([1, 2])
/** A checkpoint after each step. */
const machine = ['--threads', '1', '--target', 'portable', '--checkpoint-seconds', '0']

let data: string
let plan: string
let redis: RunningRedis
/** The experiment in one process. */
const whole = join(root, 'whole')

function planFile(text: string): string {
  const folder = mkdtempSync(join(root, 'plan-'))
  writeFileSync(join(folder, 'tiny.yaml'), text)
  return join(folder, 'tiny.yaml')
}

const files = ['checkpoint.safetensors', 'config.json', 'curves.svg', 'initial.onnx', 'metrics.jsonl', 'model.onnx']
const bytesOf = (out: string, id: string) =>
  Object.fromEntries(files.map((name) => [name, readFileSync(join(out, id, name), 'latin1')]))
const bytesOfAll = (out: string, jobs = ids) => Object.fromEntries(jobs.map((id) => [id, bytesOf(out, id)]))

const running: Running[] = []
function started(name: string, argv: readonly string[], onLine?: (line: string) => void): Running {
  const command = start(name, argv, onLine)
  running.push(command)
  return command
}

/** A worker, which tells of each step. */
const worker = (store: string, onStep: (job: string, step: number) => void = () => {}): Running =>
  started(
    'rdm-worker',
    ['--redis', redis.url, '--store', store, '--stalled-after', '2', '--json', ...machine],
    (line) => {
      const { event, job, step } = JSON.parse(line)
      if (event === 'step') onStep(job, step)
    },
  )
const queueOf = (store: string) => ['--engine', 'bullmq', '--redis', redis.url, '--store', store]
const repro = (out: string, store: string, ...more: string[]) =>
  started('rdm-repro', [plan, '--data', data, '--out', out, ...queueOf(store), ...more])
/** In this process: what the others are to come to. */
function alone(file: string, out: string): void {
  const { code, err } = run('rdm-repro', [file, '--data', data, '--out', out, ...machine])
  if (code !== 0) throw new Error(err)
}

/** Stops a worker as its user would. */
async function stop({ child, finished }: Running): Promise<Finished> {
  child.kill('SIGINT')
  return finished
}

/** How often each job came to its end, by the queue's own account. */
async function completions(): Promise<ReadonlyMap<string, number>> {
  const client = new Redis(redis.url)
  const counts = new Map<string, number>()
  for (const [, fields] of await client.xrange('bull:rdm-onnx-1:events', '-', '+')) {
    if (fields[fields.indexOf('event') + 1] !== 'completed') continue
    const [name, seed] = fields[fields.indexOf('jobId') + 1]!.split('.')
    const id = `${name}/${seed}`
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  client.disconnect()
  return counts
}

async function forget(): Promise<void> {
  const client = new Redis(redis.url)
  await client.flushall()
  client.disconnect()
}

describe.runIf(hasRedis)('an experiment by workers', () => {
  beforeAll(async () => {
    data = synthesizeTiny(root)
    plan = planFile(planText)
    const folder = join(root, 'redis')
    mkdirSync(folder)
    redis = await startRedis(folder)
    alone(plan, whole)
  })
  // A worker that a failed test leaves behind would take the jobs of the next one.
  afterEach(async () => {
    for (const { child, finished } of running.splice(0)) {
      child.kill('SIGKILL')
      await finished
    }
  })
  afterAll(() => redis.stop())

  it('ends exactly once and in the same bytes: a worker killed, one halted that comes back, Redis gone for a while', async () => {
    const store = join(root, 'store')
    const long = planFile(planText.replace('1..2', '1..3').replace('epochs: 4', 'epochs: 8'))
    const expected = join(root, 'long')
    alone(long, expected)
    const jobs = idsOf([1, 2, 3])
    /** The jobs of the workers that something happens to, and the steps that each worker took of each job, in order. */
    let killed: string | undefined
    let halted: string | undefined
    const taken: { worker: Running; job: string; step: number }[] = []
    let restarted: Promise<void> | undefined
    const seen = (who: () => Running) => (job: string, step: number) => {
      const self = who()
      taken.push({ worker: self, job, step })
      if (self === first && !killed && step === 12) {
        killed = job
        self.child.kill('SIGKILL')
      } else if (self === second && !halted && step === 9) {
        halted = job
        self.child.kill('SIGSTOP')
      } else if (self !== second && job === halted && !restarted) {
        // Another has taken the job over. The halted one wakes up in the middle, and Redis goes away.
        second.child.kill('SIGCONT')
        restarted = redis.restart()
      }
    }
    const first: Running = worker(
      store,
      seen(() => first),
    )
    const second: Running = worker(
      store,
      seen(() => second),
    )
    const third: Running = worker(
      store,
      seen(() => third),
    )
    const out = join(root, 'faults')
    const argv = [long, '--data', data, '--out', out, ...queueOf(store)]
    const { code, err, out: text } = await started('rdm-repro', argv).finished
    await restarted
    expect(code, err).toBe(0)
    expect(bytesOfAll(out, jobs)).toEqual(bytesOfAll(expected, jobs))
    expect(await completions()).toEqual(new Map(jobs.map((id) => [id, 1])))
    expect(
      text
        .split('\n')
        .slice(-3, -1)
        .map((line) => line.split(/ {2,}/)[1]),
    ).toEqual(['3 of 3', '3 of 3'])
    for (const id of [killed, halted])
      expect(err).toContain(`${id}: its worker is gone: it goes on from the last checkpoint in the store`)

    // With a checkpoint a step, all that is lost with a worker is the last step that it told of, or nothing.
    for (const [victim, job] of [
      [first, killed],
      [second, halted],
    ] as const) {
      const next = taken.findIndex((entry) => entry.job === job && entry.worker !== victim)
      const last = taken.slice(0, next).findLast((entry) => entry.job === job)!
      expect(taken[next]!.step - last.step, job).toBeGreaterThanOrEqual(0)
      expect(taken[next]!.step - last.step, job).toBeLessThanOrEqual(1)
    }
    for (const living of [second, third]) expect((await stop(living)).code).toBe(130)
    expect((await first.finished).signal).toBe('SIGKILL')
    // Nothing is left of the runs that were not the result, nor of what workers that ended in good order had on their disks.
    for (const key of readdirSync(join(store, 'runs'))) expect(readdirSync(join(store, 'runs', key))).toHaveLength(1)
  })

  it('goes on when who watches it is killed, and begins again; what is done is left alone', async () => {
    await forget()
    const store = join(root, 'store-watched')
    const out = join(root, 'watched')
    const only = worker(store)
    const firstLife = repro(out, store, '--json')
    await new Promise<void>((resolve) => {
      firstLife.child.stdout!.on('data', (text: string) => {
        if (text.includes('"event":"end"')) resolve()
      })
    })
    firstLife.child.kill('SIGKILL')
    await firstLife.finished
    const { code, err } = await repro(out, store).finished
    expect(code, err).toBe(0)
    expect(bytesOfAll(out)).toEqual(bytesOfAll(whole))
    expect(await completions()).toEqual(new Map(ids.map((id) => [id, 1])))
    await stop(only)
    // Without any worker: there is nothing left to do.
    const again = await repro(out, store, '--json').finished
    expect([again.code, again.err]).toEqual([0, ''])
    expect(JSON.parse(again.out).jobs.map(({ end }: { end: string }) => end)).toEqual(ids.map(() => 'finished'))
  })

  it('stops in good order: a worker gives its job back, who watches leaves the jobs where they are', async () => {
    await forget()
    const store = join(root, 'store-stopped')
    const out = join(root, 'stopped')
    // What one process has begun, workers go on with.
    let before = 0
    const begun = start('rdm-repro', [plan, '--data', data, '--out', out, ...machine, '--json'], (line) => {
      const { event, step } = JSON.parse(line)
      if (event === 'step') before = step
      if (before === 7) begun.child.kill('SIGINT')
    })
    expect((await begun.finished).code).toBe(130)
    const watching = repro(out, store)
    let stopping: Promise<Finished> | undefined
    const firstSteps: number[] = []
    const first: Running = worker(store, (_, step) => {
      firstSteps.push(step)
      if (firstSteps.length === 4) stopping = stop(first)
    })
    const stopped = await first.finished
    await stopping
    expect([stopped.code, stopped.signal]).toEqual([130, null])
    expect(stopped.err).toMatch(/plain\/seed-1: given back to the queue at step \d+\n/)
    expect(firstSteps[0]).toBe(before + 1)

    const status = () => run('rdm-repro', ['status', out, '--redis', redis.url, '--json'])
    const jobs = JSON.parse(status().out).jobs as { job: string; state: string; step: number }[]
    expect(jobs.map(({ state }) => state)).toEqual(ids.map(() => 'queued'))
    expect(jobs[0]!.step).toBe(firstSteps.at(-1)!)
    watching.child.kill('SIGINT')
    const left = await watching.finished
    expect(left.code).toBe(130)
    expect(left.out).toContain('the same command goes on with what is left\n')
    expect(left.err).toContain('leaving: the jobs stay in the queue, and workers go on with them; `rdm-repro withdraw`')

    const withdrawn = run('rdm-repro', ['withdraw', out, '--redis', redis.url])
    expect([withdrawn.code, withdrawn.out]).toEqual([0, `taken back: ${ids.join(', ')}\n`])
    expect(run('rdm-repro', ['withdraw', out, '--redis', redis.url]).out).toBe('no job waits in the queue\n')
    // The next of a job is the one after the last that was saved, by whatever worker.
    let next: number | undefined
    const second = worker(store, (job, step) => {
      if (job === 'plain/seed-1') next ??= step
    })
    const { code, err } = await repro(out, store).finished
    expect(code, err).toBe(0)
    expect(next).toBe(firstSteps.at(-1)! + 1)
    expect(bytesOfAll(out)).toEqual(bytesOfAll(whole))
    await stop(second)
  })

  it('says where each job stands and who trains it', async () => {
    await forget()
    const store = join(root, 'store-status')
    const out = join(root, 'status')
    const status = (...more: string[]) => run('rdm-repro', ['status', out, '--redis', redis.url, ...more])
    let looked: Finished | undefined
    const only = worker(store, (job, step) => {
      if (looked || job !== 'rdm/seed-1' || step < 10) return
      only.child.kill('SIGSTOP')
      looked = status()
      only.child.kill('SIGCONT')
    })
    const watching = repro(out, store)
    const { code, err } = await watching.finished
    expect(code, err).toBe(0)
    const rows = looked!.out.split('\n').map((line) => line.trim().split(/ {2,}/))
    const header = ['job', 'state', 'worker', 'epochs', 'steps', 'test error %', 'images/s', 'left', 'folder']
    expect(rows[0]).toEqual(header)
    const [done, active, queued] = rows.slice(1, 4)
    expect(done![1]).toMatch(/^(done|trained)$/)
    expect(active!.slice(0, 2)).toEqual(['rdm/seed-1', 'running'])
    expect(active![2]).toMatch(new RegExp(`:${only.child.pid}$`))
    expect(Number(active![4])).toBeGreaterThan(0)
    expect(active![6]).toMatch(/^\d+$/)
    expect(active![7]).toMatch(/ s$/)
    expect(queued!.slice(0, 5)).toEqual(['plain/seed-2', 'queued', '-', '0 of 4', '0'])
    await stop(only)
    const after = status('--json')
    expect(JSON.parse(after.out).jobs.map(({ state }: { state: string }) => state)).toEqual(ids.map(() => 'done'))
  })

  it.runIf(hasS3)('shares its runs in S3 as well', async () => {
    await forget()
    const s3 = await startS3()
    process.env.AWS_ACCESS_KEY_ID = 'anybody'
    process.env.AWS_SECRET_ACCESS_KEY = 'anything'
    try {
      const store = `s3://bucket/experiments?endpoint=${s3.endpoint}`
      const out = join(root, 's3')
      let killed = false
      const first: Running = worker(store, (_, step) => {
        if (!killed && step === 6) first.child.kill('SIGKILL')
        killed ||= step === 6
      })
      const second = worker(store)
      const { code, err } = await repro(out, store).finished
      expect(code, err).toBe(0)
      expect(bytesOfAll(out)).toEqual(bytesOfAll(whole))
      await stop(second)
    } finally {
      await s3.stop()
    }
  })

  it('ends with exit code 2 where a job fails: what diverges is not tried again, the rest is trained', async () => {
    await forget()
    const store = join(root, 'store-failing')
    const out = join(root, 'failing')
    const wild = planFile(
      `${planText.replace('1..3', '1').replace('epochs: 8', 'epochs: 2')}    lr: 1e30\n    name: wild\n`,
    )
    writeFileSync(
      wild,
      `format: rdm-onnx plan 1
seeds: 1
epochs: 2
batch: 8
models:
  - {name: plain, blocks: [1, 1], widths: [4, 4], lr: 0.01}
  - {name: wild, blocks: [1, 1], widths: [4, 4], lr: 1e30}
`,
    )
    const only = worker(store)
    const { code, err } = await started('rdm-repro', [wild, '--data', data, '--out', out, ...queueOf(store)]).finished
    expect(code).toBe(2)
    expect(err).toMatch(/wild\/seed-1: failed: .*: training diverged; try a lower learning rate/)
    expect(err.match(/wild\/seed-1: failed/g)).toHaveLength(1)
    expect(err).toMatch(/rdm-repro: 1 of 2 jobs failed: wild\/seed-1\n$/)
    expect(existsSync(join(out, 'plain/seed-1/model.onnx'))).toBe(true)
    const { jobs } = JSON.parse(run('rdm-repro', ['status', out, '--redis', redis.url, '--json']).out)
    expect(jobs.map(({ state }: { state: string }) => state)).toEqual(['done', 'failed'])
    await stop(only)
  })

  it('says when nobody works', async () => {
    await forget()
    const watching = repro(join(root, 'alone'), join(root, 'store-alone'))
    await new Promise<void>((resolve) => {
      watching.child.stderr!.on('data', (text: string) => {
        if (text.includes('no worker is connected yet: start some, on any machine, with `rdm-worker')) resolve()
      })
    })
    watching.child.kill('SIGINT')
    expect((await watching.finished).code).toBe(130)
  })
})
