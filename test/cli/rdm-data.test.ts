// rdm-data as a user runs it.
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { cifarLayouts } from '../../src/driver/data/cifar.js'
import { temporaryFolder, tinyCifar10 } from '../driver/data/support.js'

const command = fileURLToPath(new URL('../../bin/rdm-data.js', import.meta.url))

/** Runs the command, without blocking this process, which may be its server. */
function rdmData(...argv: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [command, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] })
  const result = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (result.out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (result.err += text))
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, ...result })))
}

test('synth, then verify: tables, and JSON', async () => {
  const dir = join(temporaryFolder(), 'patterns')
  expect(await rdmData('synth', dir, '--train', '50', '--test', '20', '--seed', '3')).toEqual({
    code: 0,
    out: `${dir}: 50 training and 20 test images of 10 classes\n`,
    err: '',
  })
  const { code, out, err } = await rdmData('verify', dir)
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toContain(`${dir}: CIFAR-10 binary version, 10 classes\n\nfile              records   bytes  md5 `)
  expect(out).toMatch(/\ndata_batch_5\.bin {7}10 {2}30,730 {2}[0-9a-f]{32} {2}as listed\n/)
  expect(out).toContain('\nall              50    20\n')
  expect(out).toMatch(/\n\nAll is well\.\n$/)

  const json = await rdmData('verify', dir, '--json')
  expect(JSON.parse(json.out)).toMatchObject({ format: 'cifar10', train: 50, test: 20, problems: [] })

  const twin = join(temporaryFolder(), 'twin')
  await rdmData('synth', twin, '--train', '50', '--test', '20', '--seed', '3')
  expect(readFileSync(join(twin, 'MD5SUMS'), 'utf8')).toBe(readFileSync(join(dir, 'MD5SUMS'), 'utf8'))

  expect(await rdmData('synth', dir)).toEqual({
    code: 2,
    out: '',
    err: `rdm-data: ${dir}: is not empty; expected a folder that is new or empty\n`,
  })
})

test('verify of a damaged set: the table, one line, exit code 2', async () => {
  const dir = tinyCifar10()
  truncateSync(join(dir, 'data_batch_4.bin'), 100)
  const problem =
    `${join(dir, 'data_batch_4.bin')}: truncated or not CIFAR-10: its 100 bytes are no whole number of records of ` +
    '3073 bytes (0 records and 100 bytes)'
  const { code, out, err } = await rdmData('verify', dir)
  expect({ code, err }).toEqual({ code: 2, err: `rdm-data: ${problem}\n` })
  expect(out).toContain(`\n\nProblems:\n  ${problem}\n`)

  writeFileSync(join(dir, 'MD5SUMS'), `${'0'.repeat(32)}  test_batch.bin\n`)
  const two = await rdmData('verify', dir, '--json')
  expect({ code: two.code, err: two.err }).toEqual({ code: 2, err: `rdm-data: ${problem} (and 1 more)\n` })
  expect(JSON.parse(two.out).problems).toHaveLength(2)
  expect((await rdmData('verify', dir)).out).toMatch(/\ntest_batch\.bin .* WRONG\n/)

  expect(await rdmData('verify', '/no/such')).toEqual({
    code: 2,
    out: '',
    err: 'rdm-data: /no/such: there is no such folder; `rdm-data fetch cifar10` downloads CIFAR-10\n',
  })
})

test('fetch: already there; a server with another file', async () => {
  const dir = temporaryFolder()
  const folder = join(dir, cifarLayouts.cifar10.folder)
  mkdirSync(folder)
  tinyCifar10(folder)
  expect(await rdmData('fetch', 'cifar10', '--dir', dir)).toEqual({
    code: 0,
    out: `${folder}: 10 training and 2 test images of 10 classes, already there\n`,
    err: '',
  })
  // Sends 5,000 bytes of a body whose length it does not tell.
  const server = createServer((_, response) => response.writeHead(200).end(Buffer.alloc(5000)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/cifar-100-binary.tar.gz`
  expect(await rdmData('fetch', 'cifar100', '--dir', dir, '--from', url)).toEqual({
    code: 2,
    out: '',
    err:
      `downloading 168.5 MB from ${url}\n` +
      `rdm-data: ${url}: the server stopped after 5000 of 168513733 bytes; run the same command again to go on from there\n`,
  })
  expect(readdirSync(dir)).toEqual(['cifar-10-batches-bin', 'cifar-100-binary.tar.gz.part'])
  server.closeAllConnections()
  server.close()
})

test('info: a table, and JSON', async () => {
  const dir = temporaryFolder()
  const path = join(dir, 'houses.csv')
  writeFileSync(
    path,
    ['area,city', ...Array.from({ length: 10 }, (_, i) => `${i},${i % 2 ? 'Ulm' : 'Bonn'}`)].join('\n'),
  )
  expect(await rdmData('info', path)).toEqual({
    code: 0,
    out: `${path}: csv, 8 training and 2 test examples (0.2 held out)

column  type     size      classes
area    float32  a number
city    uint8    a number  2: Bonn, Ulm
`,
    err: '',
  })
  const { out } = await rdmData('info', path, '--hold-out', '0.5', '--json')
  expect(JSON.parse(out)).toEqual({
    path,
    format: 'csv',
    train: 5,
    test: 5,
    heldOut: 0.5,
    columns: [
      { name: 'area', kind: 'tensor', dtype: 'float32', shape: [] },
      { name: 'city', kind: 'tensor', dtype: 'uint8', shape: [], classes: ['Bonn', 'Ulm'] },
    ],
  })
  const cifar = tinyCifar10()
  expect((await rdmData('info', cifar)).out).toContain(
    '\nimages  uint8  3×32×32\nlabels  uint8  a number  10: kind 0, kind 1, kind 2, kind 3, kind 4, …\n',
  )
  expect(await rdmData('info', cifar, '--hold-out', '0.5')).toEqual({
    code: 2,
    out: '',
    err: `rdm-data: ${cifar}: has a test set already: leave out --hold-out\n`,
  })
})

test('fetch mnist: from a copy that is another', async () => {
  const dir = temporaryFolder()
  const server = createServer((_, response) => response.writeHead(404).end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/copy`
  expect(await rdmData('fetch', 'mnist', '--dir', dir, '--from', url)).toEqual({
    code: 2,
    out: '',
    err: `rdm-data: ${url}/train-images-idx3-ubyte.gz: the server answers 404 Not Found; try again later, or give another address with --from\n`,
  })
  server.close()
})

test('help, and what does not fit', async () => {
  const help = await rdmData('--help')
  expect(help).toMatchObject({ code: 0, err: '' })
  expect(help.out).toContain('Examples:\n  $ rdm-data fetch cifar10\n')
  expect((await rdmData('synth', '--help')).out).toContain(
    '  $ rdm-data synth data/tiny --train 500 --test 100 --seed 7',
  )
  const refusals = [
    [['vrify', 'x'], "unknown command 'vrify' (Did you mean verify?)"],
    [['verify'], "missing required argument 'folder'"],
    [['synth', 'x', '--tset', '3'], "unknown option '--tset' (Did you mean --test?)"],
    [
      ['synth', 'x', '--train', '4'],
      "option '--train <images>' argument '4' is invalid. Expected a whole number from 5 to 300000",
    ],
    [
      ['fetch', 'cifar11'],
      "command-argument value 'cifar11' is invalid for argument 'name'. Allowed choices are cifar10, cifar100, mnist, fashion-mnist.",
    ],
    [
      ['fetch', 'cifar10', '--from', 'ftp://x'],
      "option '--from <url>' argument 'ftp://x' is invalid. Expected an http or https address",
    ],
  ] as const
  for (const [argv, message] of refusals) {
    expect(await rdmData(...argv)).toEqual({ code: 2, out: '', err: `rdm-data: ${message}\n` })
  }
  const none = await rdmData()
  expect({ code: none.code, out: none.out }).toEqual({ code: 2, out: '' })
  expect(none.err).toContain('Usage: rdm-data <command> [options]')
})
