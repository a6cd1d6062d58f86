// The main thread's end of a worker thread: requests out, promises in, and no promise left hanging when it dies.
import { Worker } from 'node:worker_threads'
import { messageOf, UserError } from '../../core/errors.js'
import type { Answer, Envelope, Kinds } from './protocol.js'

interface Pending {
  resolve(value: unknown): void
  reject(error: Error): void
}

/** A worker thread that answers requests in order. */
export class RequestThread<R extends Kinds, Replies extends { readonly [K in R['kind']]: unknown }> {
  readonly #worker: Worker
  readonly #what: string
  readonly #pending = new Map<number, Pending>()
  #nextId = 0
  #dead: Error | undefined

  /** @param what the thread is called in messages: `the runtime's thread` */
  constructor(file: URL, what: string) {
    this.#what = what
    this.#worker = new Worker(file)
    this.#worker.on('message', (answer: Answer) => this.#settle(answer))
    this.#worker.on('error', (error) => this.#die(new Error(`${this.#what} failed: ${messageOf(error)}`)))
    this.#worker.on('exit', (code) => this.#die(new Error(`${this.#what} ended with code ${code}`)))
    // An idle thread must not keep the process alive: only requests under way do.
    this.#worker.unref()
  }

  /** Sends a request; the buffers in `moved` go to the thread and are gone here. Rejects with UserError for bad input, with Error when the thread is gone. */
  request<Q extends R>(request: Q, moved: ArrayBuffer[] = []): Promise<Replies[Q['kind']]> {
    if (this.#dead) return Promise.reject(this.#dead)
    const id = this.#nextId++
    const reply = new Promise<unknown>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
    })
    this.#worker.ref()
    this.#worker.postMessage({ id, request } satisfies Envelope<Q>, moved)
    // The worker answers every kind of request with the reply of that kind.
    return reply as Promise<Replies[Q['kind']]>
  }

  /** Ends the thread; requests under way reject, and later ones. */
  async end(reason = `${this.#what} is closed`): Promise<void> {
    this.#die(new Error(reason))
    await this.#worker.terminate()
  }

  #settle(answer: Answer): void {
    const pending = this.#pending.get(answer.id)
    this.#pending.delete(answer.id)
    if (this.#pending.size === 0) this.#worker.unref()
    if (!pending) return
    if ('value' in answer) pending.resolve(answer.value)
    else pending.reject(answer.failure.user ? new UserError(answer.failure.message) : new Error(answer.failure.message))
  }

  #die(error: Error): void {
    this.#dead ??= error
    for (const pending of this.#pending.values()) pending.reject(this.#dead)
    this.#pending.clear()
    this.#worker.unref()
  }
}
