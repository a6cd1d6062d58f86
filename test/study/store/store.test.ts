// What a store promises, of folders and of S3; and what is no store.
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { UserError } from '../../../src/core/errors.js'
import { openStore, type Store } from '../../../src/study/store/store.js'
import { freePort, hasS3, type RunningS3, startS3 } from '../../support/servers.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-store-'))
let s3: RunningS3 | undefined
beforeAll(async () => {
  process.env.AWS_ACCESS_KEY_ID = 'anybody'
  process.env.AWS_SECRET_ACCESS_KEY = 'anything'
  if (hasS3) s3 = await startS3()
})
afterAll(async () => {
  await s3?.stop()
  rmSync(root, { recursive: true })
})

const stores: readonly (readonly [string, () => Promise<Store>])[] = [
  ['a folder', () => openStore(join(root, 'deep', 'store'))],
  ...(hasS3 ? ([['S3', () => openStore(`s3://bucket/deep/store?endpoint=${s3!.endpoint}`)]] as const) : []),
]
const bytes = (text: string) => new TextEncoder().encode(text)
const textOf = (content: Uint8Array | undefined) => content && new TextDecoder().decode(content)

describe.each(stores)('%s', (_, open) => {
  let store: Store
  beforeAll(async () => {
    store = await open()
  })

  it('keeps what is written under a key, until it is replaced', async () => {
    expect(await store.read('runs/a/file')).toBeUndefined()
    await store.write('runs/a/file', bytes('first'))
    await store.write('runs/a/file', bytes('second'))
    await store.write('runs/a/empty', bytes(''))
    expect(textOf(await store.read('runs/a/file'))).toBe('second')
    expect(textOf(await store.read('runs/a/empty'))).toBe('')
    // Another opening of the same place sees it.
    expect(textOf(await (await open()).read('runs/a/file'))).toBe('second')
  })

  it('lists what is below a prefix, and removes it', async () => {
    const keys = ['list/a/1', 'list/a/2/3', 'list/ab/1', 'list/b']
    for (const key of keys) await store.write(key, bytes(key))
    expect(await store.list('list')).toEqual(keys)
    expect(await store.list('list/a')).toEqual(['list/a/1', 'list/a/2/3'])
    expect(await store.list('nothing')).toEqual([])
    await store.remove(['list/a/2/3', 'list/b', 'list/never'])
    expect(await store.list('list')).toEqual(['list/a/1', 'list/ab/1'])
    expect(await store.read('list/b')).toBeUndefined()
    await store.remove([])
  })

  it('takes more keys than one request lists or removes', async () => {
    const keys = Array.from({ length: 1001 }, (_, i) => `many/${`${i}`.padStart(4, '0')}`)
    for (let i = 0; i < keys.length; i += 50)
      await Promise.all(keys.slice(i, i + 50).map((key) => store.write(key, bytes(key))))
    expect(await store.list('many')).toEqual(keys)
    await store.remove(keys)
    expect(await store.list('many')).toEqual([])
  })

  it('is whole whatever is written at the same time', async () => {
    const contents = Array.from({ length: 8 }, (_, i) => 'abcdefgh'[i]!.repeat(100_000))
    await Promise.all(contents.map((content) => store.write('same/key', bytes(content))))
    expect(contents).toContain(textOf(await store.read('same/key')))
    expect(await store.list('same')).toEqual(['same/key'])
  })
})

it('says where things are', async () => {
  expect((await openStore(join(root, 'store'))).address('runs/a')).toBe(join(root, 'store/runs/a'))
  if (s3)
    expect((await openStore(`s3://bucket/x/?endpoint=${s3.endpoint}`)).address('runs/a')).toBe('s3://bucket/x/runs/a')
})

it('leaves nothing of its trial, nor folders in which nothing is left', async () => {
  const folder = join(root, 'clean')
  const store = await openStore(folder)
  expect(readdirSync(folder)).toEqual([])
  await store.write('a/b/c', bytes('c'))
  await store.write('a/d', bytes('d'))
  await store.remove(['a/b/c'])
  expect(existsSync(join(folder, 'a/b'))).toBe(false)
  await store.remove(['a/d'])
  expect(readdirSync(folder)).toEqual([])
})

it('takes a folder that is away for no empty store, and does not make it anew', async () => {
  const folder = join(root, 'away')
  const store = await openStore(folder)
  await store.write('a/b', bytes('b'))
  renameSync(folder, `${folder}.aside`)
  const missing = /^ENOENT: no such file or directory, stat '.*away'$/
  await expect(store.read('a/b')).rejects.toThrow(missing)
  await expect(store.list('a')).rejects.toThrow(missing)
  await expect(store.write('a/c', bytes('c'))).rejects.toThrow(missing)
  await expect(store.remove(['a/b'])).rejects.toThrow(missing)
  expect(existsSync(folder)).toBe(false)
  renameSync(`${folder}.aside`, folder)
  expect(await store.list('a')).toEqual(['a/b'])
})

it('lists no names that are none of its keys', async () => {
  const folder = join(root, 'foreign')
  const store = await openStore(folder)
  await store.write('a/b', bytes('b'))
  for (const name of ['a b', '\u001b[31m', 'ü']) writeFileSync(join(folder, 'a', name), '')
  expect(await store.list('a')).toEqual(['a/b'])
})

it.runIf(hasS3)('lists no keys of S3 that lead elsewhere', async () => {
  const name = `s3://bucket/foreign?endpoint=${s3!.endpoint}`
  const store = await openStore(name)
  for (const key of ['a/..', 'a/../b', 'a/./b', 'a//b', 'a/b\\c']) await store.write(key, bytes('x'))
  await store.write('a/b', bytes('b'))
  expect(await store.list('a')).toEqual(['a/b'])
})

describe('is refused', () => {
  const file = join(root, 'file')
  writeFileSync(file, '')
  const format = ': write s3://BUCKET/PREFIX, after it ?endpoint=URL&region=NAME if need be'
  it.each([
    ['gs://bucket', 'the store gs://bucket is neither a folder nor s3://BUCKET/PREFIX: give one of these'],
    ['s3://', `the store s3:// names no bucket${format}`],
    ['s3://Bucket/x', `the store s3://Bucket/x names no bucket${format}`],
    ['s3://bucket?host=x', `the store s3://bucket?host=x has a parameter 'host' that means nothing${format}`],
    [
      's3://bucket?endpoint=host:9000',
      `the store s3://bucket?endpoint=host:9000 has an endpoint 'host:9000' that is no http(s) address${format}`,
    ],
    [join(file, 'x'), `the store ${file}/x cannot be used: ENOTDIR: not a directory, mkdir '${file}/x`],
  ])('%s', async (name, message) => {
    const refusal = openStore(name)
    await expect(refusal).rejects.toThrow(UserError)
    await expect(refusal).rejects.toThrow(message)
  })

  it('S3 that is not there', async () => {
    const name = `s3://bucket?endpoint=http://127.0.0.1:${await freePort()}`
    await expect(openStore(name)).rejects.toThrow(
      /^the store s3:\/\/bucket\?endpoint=\S+ cannot be used: connect ECONNREFUSED \S+; give one that you may write to$/,
    )
  })

  it.runIf(hasS3)('a bucket that is not there', async () => {
    await expect(openStore(`s3://other?endpoint=${s3!.endpoint}`)).rejects.toThrow(
      /cannot be used: The specified bucket does not exist; give one that you may write to$/,
    )
  })
})
