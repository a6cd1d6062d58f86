// A profile for people: tables that fit a screen.
import { grouped, table } from '../format/table.js'
import { percentage } from '../format/units.js'
import { type Profile, type ProfileRow, sumOf } from './aggregate.js'

/** Rows of each table; what comes after them is added up. */
const most = { part: 5, operator: 15, stage: 15, block: 10, layer: 20 }

const columns: readonly (readonly [header: string, cell: (row: ProfileRow) => string])[] = [
  ['time ms', ({ ms }) => ms.toFixed(1)],
  ['share %', ({ share }) => percentage(share, 1)],
  ['calls', ({ calls }) => grouped(Math.round(calls))],
  ['GFLOP/s', ({ rate }) => rate?.toFixed(1) ?? ''],
  ['of peak %', ({ ofPeak }) => (ofPeak === null ? '' : percentage(ofPeak, 1))],
]

/** Names come out of files. */
const printable = (name: string): string => {
  const line = name.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ')
  return line.length > 60 ? `${line.slice(0, 59)}…` : line
}

/** To the right, with cells that are empty too. */
const alignedRight = (cells: readonly string[]): string[] => {
  const width = Math.max(...cells.map((cell) => cell.length))
  return cells.map((cell) => cell.padStart(width))
}

/** The most expensive rows, and the others in one; `titles` stand over the labels. */
function section<R extends ProfileRow>(
  profile: Profile,
  titles: readonly [keyof typeof most, ...string[]],
  all: readonly R[],
  labels: (row: R) => readonly string[] = ({ label }) => [label],
): string {
  const shown = all.length > most[titles[0]] + 1 ? all.slice(0, most[titles[0]]) : all
  const left = all.slice(shown.length)
  const first = shown.map((row) => labels(row).map((label) => printable(label) || '(none)'))
  const rows: ProfileRow[] = [...shown]
  if (left.length > 0) {
    rows.push(sumOf('', left, profile.total.ms, profile.peak))
    first.push([`${grouped(left.length)} others`])
  }
  const cells = columns.map(([header, cell]) => alignedRight([header, ...rows.map(cell)]))
  const names = [titles, ...first].map((row) => titles.map((_, i) => row[i] ?? ''))
  return table(names.map((row, i) => [...row, ...cells.map((column) => column[i]!)]))
}

const gflop = (flops: number): string => `${(flops / 1e9).toFixed(1)} GFLOP`

function rateText({ rate, ofPeak }: Pick<ProfileRow, 'rate' | 'ofPeak'>): string {
  if (rate === null) return ''
  return `, ${rate.toFixed(1)} GFLOP/s${ofPeak === null ? '' : `, ${percentage(ofPeak, 1)} % of the peak`}`
}

function summary({ steps, stepMs, peak, total, nominal, small }: Profile): string[] {
  const { ms, calls, share } = small
  return [
    `a step takes ${stepMs.toFixed(1)} ms under the profiler, its nodes ${total.ms.toFixed(1)} ms (median of ${steps})`,
    ...(peak === null ? [] : [`sgemm peak: ${peak.toFixed(1)} GFLOP/s`]),
    `computed: ${gflop(total.flops)}${rateText(total)}`,
    ...(nominal === null ? [] : [`network, three times forward: ${gflop(nominal.flops)}${rateText(nominal)}`]),
    `small nodes, below ${1000 * small.belowMs} µs each: ${grouped(Math.round(calls))} of ` +
      `${grouped(Math.round(total.calls))}, ${ms.toFixed(1)} ms, ${percentage(share, 1)} %`,
  ]
}

/** Some lines of summary, then a table for each way to add up; each line ended by a newline. */
export function formatProfile(profile: Profile): string {
  const { roles, operators, stages, blocks, layers } = profile
  return [
    summary(profile)
      .map((line) => `${line}\n`)
      .join(''),
    section(profile, ['part'], roles),
    section(profile, ['operator', 'part'], operators, (row) => [row.label, row.role]),
    // A level that puts nothing together says nothing new.
    ...(stages.length < blocks.length ? [section(profile, ['stage'], stages)] : []),
    ...(blocks.length < layers.length ? [section(profile, ['block'], blocks)] : []),
    section(profile, ['layer'], layers),
  ].join('\n')
}
