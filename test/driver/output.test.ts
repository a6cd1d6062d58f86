// What is said when a file cannot be written, by everything that writes one.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { cannotWrite, writeOutput } from '../../src/driver/output.js'
import { lockFolder } from '../../src/driver/run/lock.js'

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-output-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

const failure = (code: string) => Object.assign(new Error(`${code}: something, write`), { code, syscall: 'write' })

it.each([
  ['ENOSPC', 'cannot write a/b: the disk is full; what was there before is untouched'],
  ['EDQUOT', 'cannot write a/b: the disk is full; what was there before is untouched'],
  ['EROFS', 'cannot write a/b: the file system is read-only; what was there before is untouched'],
  ['ENOENT', 'cannot write a/b: its folder is not there'],
  ['EIO', 'cannot write a/b: EIO: something, write; what was there before is untouched'],
])('names the file, and says what %s means', (code, message) => {
  expect(cannotWrite('a/b', failure(code)).message).toBe(message)
})

it('names a file whose folder is not there', async () => {
  const path = join(newFolder(), 'none', 'model.onnx')
  await expect(writeOutput(path, 'x')).rejects.toThrow(`cannot write ${path}: its folder is not there`)
})

it('names a lock that cannot be written', () => {
  const gone = join(newFolder(), 'gone')
  expect(() => lockFolder(gone)).toThrow(`cannot write ${join(gone, 'lock')}: its folder is not there`)
})
