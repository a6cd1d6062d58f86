// bench/gpuLowerings.mjs as a part of the GPU benchmark: in a process of its own, its rows taken as they come.

import { fileURLToPath } from 'node:url'
import { eventsOf } from './processes.mjs'

const script = fileURLToPath(new URL('../gpuLowerings.mjs', import.meta.url))

export async function lowerings(report, processes, { ep, small }) {
  report.results = []
  const child = processes.spawn([process.execPath, [script, '--ep', ep, ...(small ? ['--small'] : [])]])
  for await (const { at, ...row } of eventsOf(child)) {
    if (row.study === undefined) Object.assign(report, row)
    else report.results.push(row)
  }
  const { code, reason } = await child.ended
  if (code !== 0) throw new Error(reason)
}

const micros = (row) =>
  row === undefined ? '' : (row.micros?.toFixed(1) ?? 'refused') + (row.wrong === undefined ? '' : ' (wrong)')

/** A row a candidate, microseconds in either precision; ◀ marks the fastest of a study that is right. */
export function loweringsTable({ results }) {
  const studies = grouped(results)
  const rows = [...studies].flatMap(([study, all]) => {
    const of = (candidate, type) => all.find((row) => row.candidate === candidate && row.type === type)
    const best = (type) =>
      all
        .filter((row) => row.type === type && row.micros !== undefined && row.wrong === undefined)
        .reduce((a, b) => (a && a.micros <= b.micros ? a : b), undefined)?.candidate
    const cell = (candidate, type) => micros(of(candidate, type)) + (best(type) === candidate ? ' ◀' : '')
    return [...new Set(all.map(({ candidate }) => candidate))].map((candidate, i) => [
      i === 0 ? study : '',
      candidate,
      cell(candidate, 'float32'),
      cell(candidate, 'float16'),
    ])
  })
  return [['', '', 'µs float32', 'µs float16'], ...rows]
}

function grouped(results) {
  const groups = new Map()
  for (const row of results) groups.set(row.study, [...(groups.get(row.study) ?? []), row])
  return groups
}
