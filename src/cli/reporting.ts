// Training as a command: what it shows, and how a signal stops it.
import type { RunsReporter } from './progress/runsProgress.js'
import { untilSignal } from './stopping.js'

/**
 * Runs what takes long: shows its events, and stops it by the first signal.
 * @param stopping what the signal does, for the user
 */
export async function reporting<T, Key>(
  reporter: RunsReporter<Key>,
  work: (signal: AbortSignal, onEvent: RunsReporter<Key>['onEvent']) => Promise<T>,
  stopping = 'stopping after the steps in progress; once more to stop at once',
): Promise<T> {
  const onStop = () => {
    reporter.stop()
    process.stderr.write(`${stopping}\n`)
  }
  try {
    return await untilSignal((signal) => work(signal, reporter.onEvent), onStop)
  } finally {
    reporter.stop()
  }
}
