// What training took, and on which machines.

import { duration } from '../../../driver/format/units.js'
import type { Report } from '../report.js'
import type { Machine, ModelTiming } from '../times.js'
import { type Html, html } from './html.js'
import { cell, columns, modelHeader, numericColumns, rowsOf, tableOf } from './parts.js'

export function timeSection({ models, machines }: Report): Html {
  const lost = models.flatMap(({ runs }) => runs).reduce((sum, { timing }) => sum + timing.unreadable, 0)
  const note = html`<p class="note">Lines of timing.jsonl that cannot be read, and are left out: ${lost}.</p>`
  return html`<section id="time">
<h2>Time</h2>
${machines.length === 0 ? html`<p>No times are on record.</p>` : tables(models, machines)}
${lost === 0 ? '' : note}
</section>`
}

const timeColumns = [
  ...columns('machine'),
  ...numericColumns('images/s', 'epoch', 'evaluation', 'epochs on record', 'in all'),
]
const machineColumns = columns('processor', 'threads', 'provider', 'target', 'versions')

function tables(models: Report['models'], machines: Report['machines']): Html {
  const timeRows = models.flatMap(({ name, times }, i) =>
    times.map((timing) => {
      const contents = timeContents(timing)
      return html`${modelHeader(i, name)}${timeColumns.map((column, at) => cell(column, contents[at]))}`
    }),
  )
  const machineRows = machines.map((machine, i) => {
    const contents = machineContents(machine)
    return html`<th scope="row">${letter(i)}</th>${machineColumns.map((column, at) => cell(column, contents[at]))}`
  })
  return html`${tableOf('Time by model', [...columns('model'), ...timeColumns], rowsOf(timeRows))}
<p class="note">Images/s and epoch: training alone. Evaluation: of the whole test set once, and writing the run’s files. In all:
training and evaluation of the epochs on record, of all runs; what a crash undid is not on record.</p>
${tableOf('Machines', [...columns('machine'), ...machineColumns], rowsOf(machineRows))}`
}

function timeContents({ machine, imagesPerSecond, epochMs, evaluationMs, epochs, totalMs }: ModelTiming) {
  // A file may say that steps took no time, or that there were none.
  const finite = (value: number, text: (value: number) => string) => (Number.isFinite(value) ? text(value) : undefined)
  return [
    letter(machine),
    finite(imagesPerSecond, (rate) => rate.toFixed(rate < 100 ? 1 : 0)),
    finite(epochMs, time),
    time(evaluationMs),
    epochs,
    time(totalMs),
  ]
}

const time = (ms: number): string =>
  ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : ms < 1_000_000 ? `${Math.round(ms / 1000)} s` : duration(ms)

function machineContents({ machine, threads, provider, target, versions }: Machine) {
  const unknown = 'not on record'
  const cores = machine && `${machine.processor}, ${machine.cores} ${machine.cores === 1 ? 'core' : 'cores'}`
  return [
    [cores, machine?.gpu].filter(Boolean).join('; ') || unknown,
    threads,
    provider,
    target ?? unknown,
    versions
      ? Object.entries(versions)
          .map(([name, version]) => `${name} ${version}`)
          .join(', ')
      : unknown,
  ]
}

/** A … Z, AA, AB, … */
const letter = (index: number): string =>
  (index < 26 ? '' : letter(Math.floor(index / 26) - 1)) + String.fromCharCode(65 + (index % 26))
