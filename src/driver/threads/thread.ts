// The main thread's end of a worker thread or process: requests out, promises in, and no promise left hanging when it dies.
import { UserError } from '../../core/errors.js'
import { type Peer, processPeer, threadPeer } from './peer.js'
import type { Answer, Envelope, Kinds } from './protocol.js'

interface Pending {
  resolve(value: unknown): void
  reject(error: Error): void
}

/** How a process is used that may not end. */
export interface Apart {
  /** The longest that one request may take. */
  readonly seconds: number
}

/** The longest that a run of a model may take that others wrote: far more than a step of any that trains. */
export function mostSeconds(): number {
  const given = process.env.RDM_RUN_SECONDS
  if (given === undefined) return 600
  const seconds = Number(given)
  // More a timer does not take.
  if (seconds > 0 && seconds < 2e6) return seconds
  throw new UserError(`RDM_RUN_SECONDS is '${given}'; expected seconds, more than 0 and less than 2,000,000`)
}

/** A worker thread, or a process, that answers requests in order. */
export class RequestThread<R extends Kinds, Replies extends { readonly [K in R['kind']]: unknown }> {
  readonly #peer: Peer
  readonly #what: string
  readonly #apart: Apart | undefined
  readonly #pending = new Map<number, Pending>()
  #nextId = 0
  #dead: Error | undefined
  #clock: NodeJS.Timeout | undefined

  /**
   * @param what the thread is called in messages: `the runtime's thread`
   * @param apart in a process, which its requests may bring down; a thread unless given
   */
  constructor(file: URL, what: string, apart?: Apart) {
    this.#what = what
    this.#apart = apart
    this.#peer = (apart ? processPeer : threadPeer)(file, what)
    this.#peer.onAnswer((answer) => this.#settle(answer))
    this.#peer.onEnd((reason) => this.#die(reason))
    // An idle thread must not keep the process alive: only requests under way do.
    this.#peer.hold(false)
  }

  /** Sends a request; the buffers in `moved` go to the thread and are gone here. Rejects with UserError for bad input, with Error when the thread is gone. */
  request<Q extends R>(request: Q, moved: ArrayBuffer[] = []): Promise<Replies[Q['kind']]> {
    if (this.#dead) return Promise.reject(this.#dead)
    const id = this.#nextId++
    const reply = new Promise<unknown>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
    })
    this.#peer.hold(true)
    if (this.#pending.size === 1) this.#watch()
    this.#peer.post({ id, request } satisfies Envelope<Q>, moved)
    // The worker answers every kind of request with the reply of that kind.
    return reply as Promise<Replies[Q['kind']]>
  }

  /** Ends the thread; requests under way reject, and later ones. */
  async end(reason = `${this.#what} is closed`): Promise<void> {
    this.#die(new Error(reason))
    await this.#peer.end()
  }

  #settle(answer: Answer): void {
    const pending = this.#pending.get(answer.id)
    this.#pending.delete(answer.id)
    this.#watch()
    if (this.#pending.size === 0) this.#peer.hold(false)
    if (!pending) return
    if ('value' in answer) pending.resolve(answer.value)
    else pending.reject(answer.failure.user ? new UserError(answer.failure.message) : new Error(answer.failure.message))
  }

  /** The request that is next has its time from now on. */
  #watch(): void {
    clearTimeout(this.#clock)
    const { seconds } = this.#apart ?? {}
    if (seconds === undefined || this.#pending.size === 0) return
    this.#clock = setTimeout(() => {
      this.#die(
        new UserError(
          `one run of the model has not ended after ${seconds} seconds: a loop in it may never end; give more time by the ` +
            'environment variable RDM_RUN_SECONDS if it needs more',
        ),
      )
      void this.#peer.end()
    }, seconds * 1000)
  }

  #die(error: Error): void {
    this.#dead ??= error
    clearTimeout(this.#clock)
    for (const pending of this.#pending.values()) pending.reject(this.#dead)
    this.#pending.clear()
    this.#peer.hold(false)
  }
}
