// What is done to workers, their queue and their store, each to its end: what was taken away is there again afterwards.

import { readlink, rename, symlink } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

const pick = (list, random) => list[random.below(list.length)]
/** Milliseconds, some shorter and some longer than the time after which a worker is taken for dead. */
const pause = (random, from, to) => Math.round(from + random.uniform() * (to - from))

/** The store's folder is a link: it leads to the folder, or nowhere, from one moment to the next, so that nobody makes it anew. */
export async function leadTo(target, link) {
  await symlink(target, `${link}.new`)
  await rename(`${link}.new`, link)
}

async function withoutFolder(link, ms) {
  const folder = await readlink(link)
  await leadTo(`${folder}.nowhere`, link)
  await sleep(ms)
  await leadTo(folder, link)
}

async function cutLines(lines, how, ms) {
  for (const line of lines) line[how]()
  await sleep(ms)
  for (const line of lines) line.mend()
}

/**
 * Name → fault. `workers` are three places for a worker, each with its line to Redis; the first is never killed, so that its
 * memory tells of a long life.
 */
export const faults = {
  'a worker killed, another begun': async ({ workers, random }) => {
    const place = pick(workers.slice(1), random)
    await place.kill()
    await sleep(pause(random, 0, 3000))
    place.begin()
  },
  'a worker frozen': async ({ workers, random }) => {
    const { child } = pick(workers, random).running
    child.kill('SIGSTOP')
    await sleep(pause(random, 500, 8000))
    child.kill('SIGCONT')
  },
  'a worker cut off from Redis': ({ workers, random }) =>
    cutLines([pick(workers, random).line], 'cut', pause(random, 500, 8000)),
  'the line of a worker stopped': ({ workers, random }) =>
    cutLines([pick(workers, random).line], 'stop', pause(random, 500, 8000)),
  'all cut off from Redis': ({ lines, random }) => cutLines(lines, 'cut', pause(random, 500, 5000)),
  'Redis killed, begun again': async ({ redis, random }) => {
    await redis.kill()
    await sleep(pause(random, 0, 4000))
    await redis.begin()
  },
  'Redis frozen': async ({ redis, random }) => {
    redis.signal('SIGSTOP')
    await sleep(pause(random, 500, 6000))
    redis.signal('SIGCONT')
  },
  'the store out of reach': async ({ store, random }) => {
    const ms = pause(random, 500, 5000)
    if (!store.server) return withoutFolder(store.folder, ms)
    store.server.signal('SIGSTOP')
    await sleep(ms)
    store.server.signal('SIGCONT')
  },
  'rdm-repro killed, begun again': async ({ watcher, random }) => {
    await watcher.kill()
    await sleep(pause(random, 0, 3000))
    watcher.begin()
  },
}
