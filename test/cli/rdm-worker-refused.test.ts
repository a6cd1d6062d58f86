// What rdm-worker, and rdm-repro with a queue, say in one line: no Redis, no store, options that do not go together.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { freePort, hasRedis, startRedis } from '../support/servers.js'
import { run } from './support.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-worker-refused-'))
afterAll(() => rmSync(root, { recursive: true }))

const plan = join(root, 'tiny.yaml')
writeFileSync(
  plan,
  `format: rdm-onnx plan 1
seeds: 1
epochs: 1
models:
  - {name: plain, blocks: [1, 1], widths: [4, 4]}
`,
)

const refused = (name: string, argv: readonly string[], message: string | RegExp) => {
  const { code, out, err } = run(name, argv)
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err).toMatch(new RegExp(`^${name}: [^\\n]+\\n$`))
  expect(err.slice(`${name}: `.length, -1)).toMatch(message)
}

it('refuses a Redis that is not there, or is none', async () => {
  const url = `redis://user:secret@127.0.0.1:${await freePort()}`
  const shown = url.replace('secret', '***')
  const message = `cannot reach Redis at ${shown}: connect ECONNREFUSED`
  refused('rdm-worker', ['--redis', url, '--store', root], message)
  refused('rdm-repro', ['status', root, '--redis', url], message)
  refused(
    'rdm-worker',
    ['--redis', 'http://host', '--store', root],
    '--redis http://host is no address: write redis://HOST:PORT',
  )
  refused('rdm-worker', ['--store', root], 'which queue? Give the address of its Redis with --redis')
  refused('rdm-worker', ['--redis', url], 'where are runs shared? Give a folder that all machines see')
})

it.runIf(hasRedis)('refuses a store that cannot be used', async () => {
  const server = await startRedis(mkdtempSync(join(root, 'redis-')))
  const argv = ['--redis', server.url, '--store']

  try {
    const message = `the store ${plan}/store cannot be used: ENOTDIR: not a directory`
    refused('rdm-worker', [...argv, `${plan}/store`], message)
    refused('rdm-worker', [...argv, 'ftp://host/store'], 'the store ftp://host/store is neither a folder nor s3://')
  } finally {
    await server.stop()
  }
})

it('refuses options that do not go together', () => {
  refused(
    'rdm-repro',
    [plan, '--data', root, '--store', root],
    '--store is for a queue of jobs: add --engine bullmq, or leave it out',
  )
  refused(
    'rdm-repro',
    [plan, '--data', root, '--engine', 'bullmq', '--redis', 'redis://host', '--steps-per-run', '3'],
    '--steps-per-run is for the process that trains: give it to rdm-worker, or leave out --engine bullmq',
  )
})
