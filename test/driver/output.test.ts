// What is said when a file cannot be written, by everything that writes one.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { readFile } from 'node:fs/promises'
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

// The first write ends where the limit is, as on a disk that is nearly full: it wrote a part, and no error is seen.
it.skipIf(process.platform === 'win32')('leaves the old file where only a part of the new one can be written', () => {
  const folder = newFolder()
  const path = join(folder, 'model.onnx')
  writeFileSync(path, 'before')
  const module = new URL('../../dist/src/driver/output.js', import.meta.url)
  const script = `import { writeOutput } from '${module}'
    await writeOutput(process.argv[1], Buffer.alloc(100_000)).catch(({ message }) => process.stdout.write(message))`
  const argv = ['-c', 'ulimit -f 32; exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', script, path]
  expect(execFileSync('sh', argv, { encoding: 'utf8' })).toMatch(/^cannot write .*model\.onnx: EFBIG.*untouched$/)
  expect(readdirSync(folder)).toEqual(['model.onnx'])
  expect(readFileSync(path, 'utf8')).toBe('before')
})

it.skipIf(process.platform === 'win32')('writes into a pipe, and leaves it there', async () => {
  const path = join(newFolder(), 'pipe')
  execFileSync('mkfifo', [path])
  const [content] = await Promise.all([readFile(path, 'utf8'), writeOutput(path, 'through')])
  expect(content).toBe('through')
  expect(statSync(path).isFIFO()).toBe(true)
})

it('replaces a file behind a link, with its mode', async () => {
  const folder = newFolder()
  const [path, link] = [join(folder, 'model.onnx'), join(folder, 'link')]
  writeFileSync(path, 'before')
  chmodSync(path, 0o640)
  symlinkSync(path, link)
  await writeOutput(link, 'after')
  expect(readFileSync(path, 'utf8')).toBe('after')
  expect(statSync(path).mode & 0o777).toBe(0o640)
  expect(lstatSync(link).isSymbolicLink()).toBe(true)
  expect(readdirSync(folder).sort()).toEqual(['link', 'model.onnx'])
})

it('names a lock that cannot be written', () => {
  const gone = join(newFolder(), 'gone')
  expect(() => lockFolder(gone)).toThrow(`cannot write ${join(gone, 'lock')}: its folder is not there`)
})
