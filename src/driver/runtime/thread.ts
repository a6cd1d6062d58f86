// The main thread's end of a runtime worker: requests out, promises in, and no promise left hanging when it dies.
import { Worker } from 'node:worker_threads'
import { messageOf, UserError } from '../../core/errors.js'
import type { Answer, Envelope, Replies, Request } from './protocol.js'

interface Pending {
  resolve(value: Replies[Request['kind']]): void
  reject(error: Error): void
}

/** A worker thread that answers requests in order. */
export class RuntimeThread {
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  #nextId = 0
  #dead: Error | undefined

  constructor(file: URL) {
    this.#worker = new Worker(file)
    this.#worker.on('message', (answer: Answer) => this.#settle(answer))
    this.#worker.on('error', (error) => this.#die(new Error(`the runtime's thread failed: ${messageOf(error)}`)))
    this.#worker.on('exit', (code) => this.#die(new Error(`the runtime's thread ended with code ${code}`)))
    // An idle session must not keep the process alive: only requests under way do.
    this.#worker.unref()
  }

  /** Sends a request; the buffers in `moved` go to the thread and are gone here. Rejects with UserError for bad input, with Error when the thread is gone. */
  request<R extends Request>(request: R, moved: ArrayBuffer[] = []): Promise<Replies[R['kind']]> {
    if (this.#dead) return Promise.reject(this.#dead)
    const id = this.#nextId++
    const reply = new Promise<Replies[Request['kind']]>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
    })
    this.#worker.ref()
    this.#worker.postMessage({ id, request } satisfies Envelope, moved)
    // The worker answers every kind of request with the reply of that kind.
    return reply as Promise<Replies[R['kind']]>
  }

  /** Ends the thread; requests under way reject. */
  async end(): Promise<void> {
    this.#die(new Error('the session is closed'))
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
