// What nvidia-smi says of the first GPU while something else is measured.

import { createInterface } from 'node:readline'
import { median } from '../common.mjs'

const fields = { utilization: 'utilization.gpu', watts: 'power.draw', memoryMiB: 'memory.used', clockMHz: 'clocks.sm' }
/** The counter looks back over up to a second. */
const LAG = 1000

export class Monitor {
  #samples = []

  constructor(processes) {
    const query = `--query-gpu=${Object.values(fields).join(',')}`
    const child = processes.spawn(['nvidia-smi', [query, '--format=csv,noheader,nounits', '--id=0', '--loop-ms=100']])
    createInterface({ input: child.stdout }).on('line', (line) => {
      const values = line.split(',').map(Number)
      this.#samples.push({ at: performance.now(), values })
    })
  }

  /** Medians over spans of time [begin, end] in ms, without the time for which a sample still tells of before. */
  over(spans) {
    const inside = this.#samples.filter(({ at }) => spans.some(([begin, end]) => at >= begin + LAG && at <= end))
    if (inside.length === 0) return undefined
    return Object.fromEntries(
      Object.keys(fields).map((name, i) => [name, median(inside.map(({ values }) => values[i]))]),
    )
  }
}
