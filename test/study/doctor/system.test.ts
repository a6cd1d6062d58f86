// The doctor's own tools: child processes that end in every way, and the convolution that they compute.
import { expect, it } from 'vitest'
import { convolution, errorOf } from '../../../src/study/doctor/convolution.js'
import { thisSystem } from '../../../src/study/doctor/system.js'

const node = (program: string, limit = 60_000) => thisSystem().run(process.execPath, ['-e', program], limit)

it('tells how a program ended', async () => {
  expect(await node('console.log(1); console.error(2); process.exitCode = 3')).toEqual({
    kind: 'ended',
    code: 3,
    out: '1\n',
    err: '2\n',
  })
  expect(await node("process.kill(process.pid, 'SIGSEGV')")).toMatchObject({ kind: 'crashed', signal: 'SIGSEGV' })
  expect(await thisSystem().run('no-such-program', [], 60_000)).toEqual({
    kind: 'missing',
    reason: 'it is not on the PATH',
  })
})

it('ends a program that hangs and answers to no gentle signal', async () => {
  expect(await node("process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)", 1000)).toMatchObject({
    kind: 'hung',
  })
})

it('notices a single product that is left out of a convolution', () => {
  const { expected, feeds } = convolution()
  expect(errorOf(expected, expected)).toBe(0)
  const products = [...feeds.x!.data].flatMap((value) => (value ? [Math.abs(Number(value))] : []))
  // The smallest product of two whole numbers that are not 0.
  expect(Math.min(...products)).toBe(1)
  const off = expected.with(77, expected[77]! + 1)
  expect(errorOf(off, expected)).toBeGreaterThan(1e-3)
  expect(errorOf(expected.with(0, Number.NaN), expected)).toBeNaN()
  expect(errorOf(expected.slice(1), expected)).toBeNaN()
})
