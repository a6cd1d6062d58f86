// The page's end of its worker: requests out, promises in, and no promise left hanging when it dies.

import { messageOf, UserError } from '../core/errors.js'
import type { FitEvent } from '../driver/fit/events.js'
import type { Question, Replies, Request, ToPage, ToWorker, WebProvider } from './protocol.js'
import type { RunStore } from './store.js'

export interface ClientOptions {
  /** WebAssembly unless given. */
  readonly provider?: WebProvider | undefined
  /** Answers what the worker asks for. */
  readonly store?: RunStore
  onEvent?(event: FitEvent): void
}

/** As it stands here, bundlers understand it as well as browsers. */
const workerFor = (provider: WebProvider): Worker =>
  provider === 'wasm'
    ? new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
    : new Worker(new URL('./gpuWorker.js', import.meta.url), { type: 'module' })

/** A worker of this page. */
export class Client {
  readonly #worker: Worker
  readonly #options: ClientOptions
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>()
  #next = 0
  #dead: Error | undefined

  constructor(options: ClientOptions = {}) {
    this.#options = options
    this.#worker = workerFor(options.provider ?? 'wasm')
    this.#worker.addEventListener('message', ({ data }: MessageEvent<ToPage>) => this.#take(data))
    this.#worker.addEventListener('error', (event) => {
      event.preventDefault()
      this.#die(new Error(`the worker of rdm-onnx/web failed: ${event.message ?? 'its file does not load'}`))
    })
  }

  /** Rejects with UserError for bad input and when it is closed, with Error when the worker has failed. */
  request<Q extends Request>(request: Q, moved: Transferable[] = []): Promise<Replies[Q['kind']]> {
    if (this.#dead) return Promise.reject(this.#dead)
    const id = this.#next++
    const pending = Promise.withResolvers<unknown>()
    this.#pending.set(id, pending)
    this.#worker.postMessage({ id, request } satisfies ToWorker, moved)
    // The worker answers every kind of request with the reply of that kind.
    return pending.promise as Promise<Replies[Q['kind']]>
  }

  /** Ends the worker; requests under way reject with UserError, and later ones. */
  close(reason = 'the session is closed'): void {
    this.#die(new UserError(reason))
    this.#worker.terminate()
  }

  #take(message: ToPage): void {
    if ('event' in message) this.#options.onEvent?.(message.event)
    else if ('question' in message) void this.#tell(message)
    else {
      const pending = this.#pending.get(message.id)
      this.#pending.delete(message.id)
      if ('value' in message) pending?.resolve(message.value)
      else {
        const { message: text, user } = message.failure
        pending?.reject(user ? new UserError(text) : new Error(text))
      }
    }
  }

  async #tell({ question, name, bytes }: Question): Promise<void> {
    const { store } = this.#options
    try {
      const value = bytes ? await store?.write(name, bytes) : await store?.read(name)
      await this.request({ kind: 'told', question, value: value ?? undefined })
    } catch (error) {
      await this.request({ kind: 'told', question, failure: messageOf(error) }).catch(() => {})
    }
  }

  #die(error: Error): void {
    this.#dead ??= error
    for (const pending of this.#pending.values()) pending.reject(this.#dead)
    this.#pending.clear()
  }
}
