// The worker thread's end: answers requests one after the other, in the order of arrival.
import { parentPort } from 'node:worker_threads'
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
  if (parentPort === null) throw new Error('this file runs as a worker thread only')
  const port = parentPort
  // One after the other: a training step must not start before the one that it builds on is done.
  let queue: Promise<void> = Promise.resolve()
  port.on('message', ({ id, request }: Envelope<R>) => {
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
