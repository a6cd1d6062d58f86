// What a contestant written in JavaScript needs: the case on disk, and the conversation with the benchmark over standard
// input and output, as in protocol.py.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export const readCase = (folder) => JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8'))

/** Says that it is ready; then answers each line {"steps": k} by k steps: their times, and what they give (`loss`). */
export async function serve(step, ready) {
  const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
  answer({ ready: true, ...ready })
  for await (const line of createInterface({ input: process.stdin })) {
    const ms = []
    const loss = []
    for (let left = JSON.parse(line).steps; left > 0; left--) {
      const started = performance.now()
      loss.push(await step())
      ms.push(performance.now() - started)
    }
    answer({ ms, loss })
  }
}
