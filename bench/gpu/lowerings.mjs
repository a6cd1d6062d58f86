// bench/gpuLowerings.mjs as a part of the GPU benchmark: in a process of its own, its rows taken as they come.

import { fileURLToPath } from 'node:url'
import { Events } from './processes.mjs'

const script = fileURLToPath(new URL('../gpuLowerings.mjs', import.meta.url))

export async function lowerings(report, processes, { ep, small }) {
  report.results = []
  const child = processes.spawn([process.execPath, [script, '--ep', ep, ...(small ? ['--small'] : [])]])
  for await (const { at, ...row } of new Events(child)) {
    if (row.study === undefined) Object.assign(report, row)
    else report.results.push(row)
  }
  const { code, reason } = await child.ended
  if (code !== 0) throw new Error(reason)
}

/** The fastest way that is right. */
const fastest = (rows) =>
  rows
    .filter(({ micros, wrong }) => micros !== undefined && wrong === undefined)
    .reduce((best, row) => (best && best.micros <= row.micros ? best : row), undefined)

/** A row a study: its fastest way in either precision; all ways are in the file. */
export function loweringsTable({ results }) {
  const studies = [...new Set(results.map(({ study }) => study))]
  const rows = studies.map((study) => {
    const cells = ['float32', 'float16'].flatMap((type) => {
      const best = fastest(results.filter((row) => row.study === study && row.type === type))
      return best ? [best.micros.toFixed(1), best.candidate] : ['', '']
    })
    const wrong = results.filter((row) => row.study === study && row.wrong !== undefined).length
    return [study, ...cells, wrong > 0 ? `${wrong} WRONG` : '']
  })
  return [['', 'µs', 'fastest, float32', 'µs', 'fastest, float16', ''], ...rows]
}
