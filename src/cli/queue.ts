// The options that say where jobs are queued and where runs are shared.
import { type Command, Option } from 'commander'
import type { Redis } from 'ioredis'
import { UserError } from '../core/errors.js'
import { requirePackages } from '../driver/optional.js'
import { openStore, type Store } from '../study/store/store.js'

export interface QueueFlags {
  readonly redis?: string
  readonly store?: string
}

const what = {
  redis: ['--redis <url>', 'Redis that holds the queue of jobs, such as redis://host:6379'],
  store: [
    '--store <place>',
    'where runs and data are shared: a folder that all machines see, or s3://BUCKET/PREFIX (?endpoint=URL for storage other than Amazon’s)',
  ],
} as const

const wordsFor = (words: string, context?: string) => (context === undefined ? words : `${context}: ${words}`)

/** @param context when they are meant, where that is not always */
export const addRedisOption = (command: Command, context?: string): Command =>
  command.addOption(new Option(what.redis[0], wordsFor(what.redis[1], context)))

export const addQueueOptions = (command: Command, context?: string): Command =>
  addRedisOption(command, context).addOption(new Option(what.store[0], wordsFor(what.store[1], context)))

/**
 * Does something with a connection to Redis, and ends it.
 * @throws UserError when there is none
 */
export async function withRedis<T>({ redis: url }: QueueFlags, work: (redis: Redis) => Promise<T>): Promise<T> {
  if (url === undefined) throw new UserError('which queue? Give the address of its Redis with --redis')
  requirePackages('the queue of jobs needs', ['bullmq', 'ioredis'])
  const { connectRedis } = await import('../study/repro/queue/redis.js')
  const redis = await connectRedis(url)
  try {
    return await work(redis)
  } finally {
    redis.disconnect()
  }
}

/** @throws UserError when one of them cannot be used */
export async function withQueue<T>(
  flags: QueueFlags,
  work: (queue: { readonly redis: Redis; readonly store: Store }) => Promise<T>,
): Promise<T> {
  if (flags.store === undefined)
    throw new UserError(
      'where are runs shared? Give a folder that all machines see, or s3://BUCKET/PREFIX, with --store',
    )
  return withRedis(flags, async (redis) => work({ redis, store: await openStore(flags.store!) }))
}
