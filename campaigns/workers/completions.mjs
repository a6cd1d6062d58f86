// How often each job came to its end, by the queue's own account.

import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'

const EVENTS = 'bull:rdm-onnx-1:events'

/** Counts from now on: the queue itself keeps the last events only. */
export function countCompletions(port) {
  const client = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: 0, commandTimeout: 2000 })
  // It is away at times.
  client.on('error', () => {})
  const counts = new Map()
  let last = '0-0'
  const look = async () => {
    for (const [id, fields] of await client.xrange(EVENTS, `(${last}`, '+', 'COUNT', 5000)) {
      last = id
      const event = Object.fromEntries(fields.flatMap((_, i) => (i % 2 === 0 ? [[fields[i], fields[i + 1]]] : [])))
      if (event.event === 'completed') counts.set(event.jobId, (counts.get(event.jobId) ?? 0) + 1)
    }
  }
  let running = true
  const loop = (async () => {
    while (running) {
      await look().catch(() => {})
      await sleep(500)
    }
  })()
  return {
    counts,
    async close() {
      running = false
      await loop
      // The last that happened; Redis is there by now.
      await look()
      client.disconnect()
    },
  }
}
