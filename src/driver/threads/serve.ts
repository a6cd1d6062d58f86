// The end of the worker thread or process: answers requests one after the other, in the order of arrival.
import { type MessagePort, parentPort, Worker } from 'node:worker_threads'
import { messageOf, UserError } from '../../core/errors.js'
import type { Answer, Envelope, Kinds } from './protocol.js'

/**
 * @param answer throws UserError for bad input
 * @param moved what belongs to nobody here any more: its memory goes to the main thread
 */
export function serve<R extends Kinds, Replies extends { readonly [K in R['kind']]: unknown }>(
  answer: (request: R) => Promise<Replies[R['kind']]>,
  moved: (request: R, value: Replies[R['kind']]) => ArrayBuffer[],
): void {
  const port = parentPort === null ? processPort() : threadPort(parentPort)
  // One after the other: a training step must not start before the one that it builds on is done.
  let queue: Promise<void> = Promise.resolve()
  port.onMessage(({ id, request }: Envelope<R>) => {
    queue = queue.then(async () => {
      try {
        const value = await answer(request)
        port.postMessage({ id, value } satisfies Answer, moved(request, value))
      } catch (error) {
        const failure = { message: messageOf(error), user: error instanceof UserError }
        port.postMessage({ id, failure } satisfies Answer)
      }
    })
  })
}

interface Port {
  onMessage<M>(take: (message: M) => void): void
  postMessage(message: unknown, moved?: ArrayBuffer[]): void
}

const threadPort = (port: MessagePort): Port => ({
  onMessage: (take) => port.on('message', take),
  postMessage: (message, moved) => port.postMessage(message, moved),
})

/** Ends the process once the one that began it is gone, whatever native code its main thread is in. */
const watchdog = `
const { workerData } = require('node:worker_threads')
const isThere = () => { try { return process.kill(workerData, 0) } catch (error) { return error.code === 'EPERM' } }
setInterval(() => { if (process.ppid !== workerData || !isThere()) process.kill(process.pid, 'SIGKILL') }, 500)
`

/** The other end of a process that was forked. */
function processPort(): Port {
  if (!process.send) throw new Error('this file runs as a worker thread or a forked process only')
  process.on('disconnect', () => process.exit())
  // A terminal sends them to all of its processes: the one that began this says when its work is done.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  new Worker(watchdog, { eval: true, workerData: process.ppid }).unref()
  return { onMessage: (take) => process.on('message', take), postMessage: (message) => process.send!(message) }
}
