// The lock of a run folder: held by a living process, taken over from a dead one.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { holderOf, lockFolder } from '../../../src/driver/run/lock.js'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'rdm-lock-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  return path
}

const owner = (fields: object) =>
  `${JSON.stringify({ pid: process.pid, host: hostname(), started: null, ...fields })}\n`

/** The number of a process that is no more. */
const deadPid = () => spawnSync(process.execPath, ['--version']).pid

it('lets one in at a time', () => {
  const path = folder()
  const unlock = lockFolder(path)
  expect(() => lockFolder(path)).toThrow(
    `${path} is in use by process ${process.pid}: wait for it, or choose another folder`,
  )
  unlock()
  lockFolder(path)()
  expect(readdirSync(path)).toEqual([])
})

it.each([
  ['a dead process', () => owner({ pid: deadPid() })],
  ['an earlier process of the same number', () => owner({ started: '1' })],
  ['nobody: torn', () => '{"pid":'],
  ['nobody: empty', () => ''],
])('takes over from %s', (name, text) => {
  if (name.includes('earlier') && !existsSync('/proc/self/stat')) return
  const path = folder()
  writeFileSync(join(path, 'lock'), text())
  const unlock = lockFolder(path)
  expect(JSON.parse(readFileSync(join(path, 'lock'), 'utf8'))).toMatchObject({ pid: process.pid })
  unlock()
  expect(readdirSync(path)).toEqual([])
})

it('does not judge processes of another machine', () => {
  const path = folder()
  writeFileSync(join(path, 'lock'), owner({ host: 'elsewhere', pid: 12 }))
  expect(() => lockFolder(path)).toThrow(
    `${path} is in use by process 12 on elsewhere: wait for it, or delete ${join(path, 'lock')} if it is gone`,
  )
})

it('leaves the lock of another alone when it ends', () => {
  const path = folder()
  const unlock = lockFolder(path)
  writeFileSync(join(path, 'lock'), owner({ host: 'elsewhere' }))
  unlock()
  expect(existsSync(join(path, 'lock'))).toBe(true)
})

it('says who holds it, as far as that can be known', () => {
  const path = folder()
  expect(holderOf(path)).toBeUndefined()
  const unlock = lockFolder(path)
  expect(holderOf(path)).toEqual({ pid: process.pid, host: hostname() })
  unlock()
  expect(holderOf(path)).toBeUndefined()
  writeFileSync(join(path, 'lock'), owner({ pid: deadPid() }))
  expect(holderOf(path)).toBeUndefined()
  writeFileSync(join(path, 'lock'), owner({ host: 'elsewhere', pid: 12 }))
  expect(holderOf(path)).toEqual({ pid: 12, host: 'elsewhere' })
})
