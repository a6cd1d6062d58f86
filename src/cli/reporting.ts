// Commands that take long: what they show, and how a signal stops them.
import type { RunsReporter } from '../fit/runsProgress.js'

/** What a shell reports of a process that the signal ended. */
const signalExitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/** Runs what takes long: shows its events, and stops it by the first signal. */
export async function reporting<T, Key>(
  reporter: RunsReporter<Key>,
  work: (signal: AbortSignal, onEvent: RunsReporter<Key>['onEvent']) => Promise<T>,
): Promise<T> {
  const stopping = new AbortController()
  const stop = (signal: keyof typeof signalExitCodes) => {
    reporter.stop()
    process.stderr.write('stopping after the steps in progress; once more to stop at once\n')
    process.exitCode = signalExitCodes[signal]
    stopping.abort()
  }
  // `once`: the second signal finds no handler and ends the process as signals do.
  process.once('SIGINT', stop).once('SIGTERM', stop).once('SIGHUP', stop)
  try {
    return await work(stopping.signal, reporter.onEvent)
  } finally {
    reporter.stop()
    process.off('SIGINT', stop).off('SIGTERM', stop).off('SIGHUP', stop)
  }
}
