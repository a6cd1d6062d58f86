// Files of a folder that somebody else made: links are not written through, pipes and devices are not read.
import { execFileSync } from 'node:child_process'
import { lstatSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { UserError } from '../../../src/core/errors.js'
import { loadCheckpoint, readProgress } from '../../../src/driver/run/checkpoint.js'
import { readPlainFile, writeAtomically } from '../../../src/driver/run/files.js'
import { holderOf, lockFolder } from '../../../src/driver/run/lock.js'
import { readRunInfo } from '../../../src/driver/run/runFolder.js'
import { appendTiming } from '../../../src/driver/run/timing.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-files-'))
afterAll(() => rmSync(root, { recursive: true }))

let folder: string
let victim: string
beforeEach(() => {
  folder = mkdtempSync(join(root, 'run-'))
  victim = join(mkdtempSync(join(root, 'outside-')), 'victim')
  writeFileSync(victim, 'untouched')
})

const times = {
  epoch: 0,
  steps: 1,
  trainingMs: 1,
  evaluationMs: 1,
  batchSize: 1,
  threads: 1,
  provider: 'cpu',
} as const

it('names the file of times that cannot be written', async () => {
  const gone = join(folder, 'gone')
  await expect(appendTiming(gone, times)).rejects.toThrow(
    `cannot write ${join(gone, 'timing.jsonl')}: its folder is not there`,
  )
})

describe('a link', () => {
  it.each(['file', '.file.tmp'])('called %s is replaced', async (name) => {
    symlinkSync(victim, join(folder, name))
    await writeAtomically(join(folder, 'file'), 'new')
    expect(readFileSync(join(folder, 'file'), 'utf8')).toBe('new')
    expect(lstatSync(join(folder, 'file')).isFile()).toBe(true)
    expect(readFileSync(victim, 'utf8')).toBe('untouched')
  })

  it('is not appended to', async () => {
    symlinkSync(victim, join(folder, 'timing.jsonl'))
    await expect(appendTiming(folder, times)).rejects.toThrow('timing.jsonl is no file: move it away')
    expect(readFileSync(victim, 'utf8')).toBe('untouched')
  })

  it('is not what a lock is written to', () => {
    symlinkSync(victim, join(folder, `.lock.${process.pid}`))
    lockFolder(folder)()
    expect(readFileSync(victim, 'utf8')).toBe('untouched')
  })
})

describe.runIf(process.platform !== 'win32')('a pipe', () => {
  const pipe = (name: string) => execFileSync('mkfifo', [join(folder, name)])

  it('is not waited for', async () => {
    pipe('config.json')
    pipe('checkpoint.safetensors')
    pipe('lock')
    await expect(readPlainFile(join(folder, 'config.json'))).rejects.toThrow(UserError)
    await expect(readRunInfo(folder)).rejects.toThrow('config.json is no file: move it away')
    await expect(loadCheckpoint(folder)).rejects.toThrow('checkpoint.safetensors is no file: move it away')
    expect(await readProgress(folder)).toBeUndefined()
    expect(() => holderOf(folder)).toThrow('lock is no file: move it away')
    expect(() => lockFolder(folder)).toThrow('lock is no file: move it away')
  })
})
