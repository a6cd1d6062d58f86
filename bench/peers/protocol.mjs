// What a contestant written in JavaScript needs: the case on disk, and the conversation with the benchmark over standard
// input and output, as in protocol.py.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export const readCase = (folder) => JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8'))

/**
 * Says that it is ready; then answers each line {"steps": k} by k steps: their times, and what they give (`loss`).
 * @param run takes a number of steps, or fewer: {ms of all that it took, losses}
 */
export async function serveRuns(run, ready) {
  const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
  answer({ ready: true, ...ready })
  for await (const line of createInterface({ input: process.stdin })) {
    const { steps } = JSON.parse(line)
    const ms = []
    const loss = []
    while (loss.length < steps) {
      const taken = await run(steps - loss.length)
      loss.push(...taken.losses)
      ms.push(...taken.losses.map(() => taken.ms / taken.losses.length))
    }
    answer({ ms, loss })
  }
}

/** The same of a step that gives its loss. */
export const serve = (step, ready) =>
  serveRuns(async () => {
    const started = performance.now()
    const loss = await step()
    return { ms: performance.now() - started, losses: [loss] }
  }, ready)
