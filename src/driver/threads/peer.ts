// Who answers requests: a worker thread, or a process of its own for what may take its process along.

import { type Control, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { messageOf, UserError } from '../../core/errors.js'
import type { Answer } from './protocol.js'

export interface Peer {
  post(message: object, moved: ArrayBuffer[]): void
  onAnswer(take: (answer: Answer) => void): void
  /** Called once it is gone, with why. */
  onEnd(take: (reason: Error) => void): void
  /** Whether it keeps our process alive. */
  hold(keeps: boolean): void
  end(): Promise<unknown>
}

/** @param what it is called in messages */
export function threadPeer(file: URL, what: string): Peer {
  const worker = new Worker(file)
  return {
    post: (message, moved) => worker.postMessage(message, moved),
    onAnswer: (take) => worker.on('message', take),
    onEnd(take) {
      worker.on('error', (error) => take(new Error(`${what} failed: ${messageOf(error)}`)))
      worker.on('exit', (code) => take(new Error(`${what} ended with code ${code}`)))
    },
    hold: (keeps) => (keeps ? worker.ref() : worker.unref()),
    end: () => worker.terminate(),
  }
}

/** What the system says of a process that asked for more memory than there is. */
const killed = ', most often because memory is full: take a smaller batch, or a machine with more memory'

/** The same file in a process. Messages are copied to it, and it goes with ours. */
export function processPeer(file: URL, what: string): Peer {
  const child = fork(fileURLToPath(file), {
    serialization: 'advanced',
    execArgv: [],
    // What a runtime prints on its way down would stand before our line.
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  // A message to a process that has gone: its end says more.
  child.on('error', () => {})
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('exit', () => process.off('exit', kill))
  return {
    post: (message) => void child.send(message, () => {}),
    onAnswer: (take) => child.on('message', (answer) => take(answer as Answer)),
    onEnd: (take) =>
      child.once('exit', (code, signal) =>
        take(
          new UserError(
            signal === 'SIGKILL'
              ? `the system ended ${what}${killed}`
              : `${what} ended by ${signal ?? `code ${code}`}: ONNX Runtime does not survive this model; what was saved before is whole`,
          ),
        ),
      ),
    hold(keeps) {
      // Bun has a channel that holds nothing by itself, and cannot be told to.
      const channel: Partial<Pick<Control, 'ref' | 'unref'>> | null | undefined = child.channel
      if (keeps) {
        child.ref()
        channel?.ref?.()
      } else {
        child.unref()
        channel?.unref?.()
      }
    },
    async end() {
      kill()
    },
  }
}
