// The process that reads wrong files, one after the other: a file that crashes it, fills its memory or does not end takes it along.

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../../dist/src/core/errors.js'
import { write } from './good.mjs'
import { kindsOf, mostMessage, wrongFiles } from './kinds.mjs'

const [folder, run, seed] = process.argv.slice(2)
/** Bytes that may be used beside ten times the files. */
const spare = 200e6

const kinds = await kindsOf(folder, run)

const status = '/proc/self/status'
const measures = existsSync(status)
const inMemory = (field) => 1024 * Number(new RegExp(`${field}:\\s*(\\d+)`).exec(readFileSync(status, 'latin1'))[1])

/** What a command takes for bad input. */
const isExpected = (error) =>
  error instanceof UserError || (error instanceof Error && 'syscall' in error && 'code' in error)

async function outcomeOf(read) {
  try {
    await read()
    return { read: true }
  } catch (error) {
    if (!isExpected(error)) return { problem: String(error?.stack ?? error) }
    if (/[\n\r\u2028]/.test(error.message) || error.message.length > mostMessage)
      return { problem: `no line: ${error.message.slice(0, 300)}` }
    return { read: false }
  }
}

process.on('message', async ({ at, number }) => {
  const kind = kinds[at]
  const place = join(folder, `${at}-${number}`)
  const { name, files } = wrongFiles(kind, Number(seed), number)
  write(place, files)
  // The highest use so far is forgotten.
  if (measures) writeFileSync('/proc/self/clear_refs', '5')
  const [begun, before] = [performance.now(), measures ? inMemory('VmRSS') : 0]
  const outcome = await outcomeOf(() => kind.read(place, [name, files[name]]))
  const seconds = (performance.now() - begun) / 1000
  const used = measures ? inMemory('VmHWM') - before : 0
  const size = Object.values(files).reduce((sum, { length }) => sum + length, 0)
  if (used > 10 * size + spare) outcome.problem ??= `took ${Math.round(used / 1e6)} MB for ${size} bytes`
  if (outcome.problem === undefined) rmSync(place, { recursive: true, force: true })
  process.send({ ...outcome, name, seconds, used })
})
process.send({ kinds: kinds.map(({ kind, share, seeds }) => ({ kind, share, seeds: seeds.length })) })
