// Making folders.
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { makeFolder } from '../../src/driver/folders.js'

let base: string
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'rdm-folders-'))
})
afterAll(() => rm(base, { recursive: true, force: true }))

it('makes a folder and those above it, also when they are there or another makes them meanwhile', async () => {
  const deep = join(base, 'a', 'b', 'c')
  await Promise.all([makeFolder(deep), makeFolder(deep), makeFolder(join(base, 'a', 'b', 'd'))])
  await makeFolder(deep)
  expect((await stat(deep)).isDirectory()).toBe(true)
})

it('fails where a file is in the way', async () => {
  await writeFile(join(base, 'file'), '')
  await expect(makeFolder(join(base, 'file'))).rejects.toThrow('EEXIST')
  await expect(makeFolder(join(base, 'file', 'inside'))).rejects.toThrow('ENOTDIR')
})

it.runIf(process.platform === 'linux')('fails, and does not try on, where nothing can be made', async () => {
  await expect(makeFolder('/proc/nothing/inside')).rejects.toThrow('ENOENT')
})
