// Long work that the first signal stops in good order, and the second at once.

/** What a shell reports of a process that the signal ended. */
const signalExitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/**
 * Does the work; a signal aborts it and sets the exit code of the process.
 * @param onStop says so to the user
 */
export async function untilSignal<T>(work: (signal: AbortSignal) => Promise<T>, onStop: () => void): Promise<T> {
  const stopping = new AbortController()
  const stop = (signal: keyof typeof signalExitCodes) => {
    process.exitCode = signalExitCodes[signal]
    onStop()
    stopping.abort()
  }
  // `once`: the second signal finds no handler and ends the process as signals do.
  process.once('SIGINT', stop).once('SIGTERM', stop).once('SIGHUP', stop)
  try {
    return await work(stopping.signal)
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop).off('SIGHUP', stop)
  }
}
