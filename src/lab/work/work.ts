// The page's side of its worker.

import { UserError } from '../../core/errors.js'
import type { Answer, Job, Jobs, Request } from './protocol.js'

/** One thing after another, of which only the newest matters: what is under way is given up when something else is asked for. */
export class Work {
  #worker: Worker | undefined
  #giveUp: (() => void) | undefined

  /**
   * Undefined where another request came before the answer.
   * @throws UserError for what does not fit; Error for a fault of ours
   */
  ask<J extends Job>(job: J, takes: Jobs[J]['takes']): Promise<Jobs[J]['gives'] | undefined> {
    this.stop()
    this.#worker ??= new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
    const worker = this.#worker
    return new Promise((resolve, reject) => {
      const settle = (end: () => void) => {
        this.#giveUp = undefined
        worker.onmessage = null
        worker.onerror = null
        end()
      }
      this.#giveUp = () => settle(() => resolve(undefined))
      worker.onerror = ({ message }) => {
        worker.terminate()
        this.#worker = undefined
        settle(() => reject(new Error(message || 'the worker of this page did not load')))
      }
      worker.onmessage = ({ data }: MessageEvent<Answer>) =>
        settle(() => {
          if ('gives' in data) resolve(data.gives as Jobs[J]['gives'])
          else reject('problem' in data ? new UserError(data.problem) : new Error(data.fault))
        })
      worker.postMessage({ job, takes } as Request)
    })
  }

  /** Gives up what is under way. */
  stop(): void {
    if (!this.#giveUp) return
    this.#worker?.terminate()
    this.#worker = undefined
    this.#giveUp()
  }
}
