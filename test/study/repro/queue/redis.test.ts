// The connection to Redis: what its address may be, and what is told while it is away.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { connectRedis, shownAddress, untilBack } from '../../../../src/study/repro/queue/redis.js'
import { freePort, hasRedis, startRedis } from '../../../support/servers.js'

const folder = mkdtempSync(join(tmpdir(), 'rdm-redis-'))
afterAll(() => rmSync(folder, { recursive: true }))

it('is shown without its password', () => {
  expect(shownAddress('redis://user:secret@host:6379/2')).toBe('redis://user:***@host:6379/2')
  expect(shownAddress('rediss://host')).toBe('rediss://host')
})

it.each([
  ['http://host', '--redis http://host is no address: write redis://HOST:PORT, with rediss: for TLS'],
  ['redis://', '--redis redis:// is no address'],
  ['redis://host:port', '--redis redis://host:port is no address'],
])('%s is refused', async (url, message) => {
  await expect(connectRedis(url)).rejects.toThrow(message)
})

it('that is not there is refused', async () => {
  const port = await freePort()
  await expect(connectRedis(`redis://:secret@127.0.0.1:${port}`)).rejects.toThrow(
    `cannot reach Redis at redis://:***@127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}; start it there, or give another address with --redis`,
  )
})

describe.runIf(hasRedis)('a Redis', () => {
  it('that asks for a password gets the right one or is refused; its absence is told once, and its return', async () => {
    const server = await startRedis(folder)
    const redis = await connectRedis(server.url)
    const told: string[] = []
    const listen = untilBack(redis, (message) => told.push(message))
    const until = async (count: number) => {
      while (told.length < count) await new Promise(setImmediate)
    }
    // What the queue says of it is the same thing.
    redis.on('error', listen)
    try {
      const wrong = connectRedis(server.url.replace('redis://', 'redis://user:wrong@'))
      await expect(wrong).rejects.toThrow(/^cannot reach Redis at redis:\/\/user:\*\*\*@\S+: WRONGPASS /)
      const away = server.restart(() => until(1))
      await away
      await until(2)
      expect(told[0]).toMatch(/^Redis: (connect ECONNREFUSED|read ECONNRESET|Connection is closed).*; trying again$/)
      expect(told.at(-1)).toBe('Redis is back')
      expect(await redis.ping()).toBe('PONG')
    } finally {
      redis.disconnect()
      await server.stop()
    }
  })
})
