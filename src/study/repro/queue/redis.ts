// Connections to Redis.

import { Redis } from 'ioredis'
import { messageOf, UserError } from '../../../core/errors.js'

/** Milliseconds that the first connection may take. */
const PATIENCE = 5000

/** An address as it may be shown: without its password. */
export function shownAddress(url: string): string {
  const parsed = new URL(url)
  if (parsed.password !== '') parsed.password = '***'
  return parsed.href
}

/**
 * Connects. Later, what is lost is connected again, however long it takes, and commands wait for it.
 * @param url redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// for TLS
 * @throws UserError when it is no such address, or there is nobody who answers
 */
export async function connectRedis(url: string): Promise<Redis> {
  if (!/^rediss?:\/\/./.test(url) || !URL.canParse(url))
    throw new UserError(`--redis ${url} is no address: write redis://HOST:PORT, with rediss: for TLS`)
  const trial = new Redis(url, {
    lazyConnect: true,
    connectTimeout: PATIENCE,
    commandTimeout: PATIENCE,
    retryStrategy: () => null,
  })
  let refused: unknown
  // Why a connection fails is said here, and what `connect` throws is only that it did.
  trial.on('error', (error) => {
    refused = error
  })
  try {
    await trial.connect()
    await trial.ping()
  } catch (error) {
    throw new UserError(
      `cannot reach Redis at ${shownAddress(url)}: ${messageOf(refused ?? error)}; start it there, or give another address with --redis`,
    )
  } finally {
    trial.disconnect()
  }
  // As the queue wants it: no command is given up because Redis is away.
  return new Redis(url, { maxRetriesPerRequest: null })
}

/**
 * For errors of who uses a connection: told once, until Redis is back. Its own errors and those of the queue are the same
 * thing: it is connected again by itself.
 */
export function untilBack(redis: Redis, tell: (message: string) => void): (error: Error) => void {
  let told: string | undefined
  redis.on('ready', () => {
    if (told !== undefined) tell('Redis is back')
    told = undefined
  })
  const listen = (error: Error) => {
    const message = messageOf(error)
    if (message !== told) tell(`Redis: ${message}; trying again`)
    told = message
  }
  redis.on('error', listen)
  return listen
}
