// The figures of campaigns, and the page that has them.

import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'

function vectors() {
  try {
    const flags = readFileSync('/proc/cpuinfo', 'utf8')
    return ['AVX512F', 'AVX2'].find((flag) => new RegExp(`\\b${flag}\\b`, 'i').test(flags)) ?? ''
  } catch {
    return ''
  }
}

/** A result with the day and the machine that it belongs to. */
export const resultOf = ({ columns, rows, faults, seed, seconds }) => ({
  date: new Date().toISOString().slice(0, 10),
  machine: [`${cpus().length} cores`, cpus()[0].model.trim(), vectors()].filter(Boolean).join(', '),
  node: process.version,
  seed,
  minutes: Math.round(seconds / 6) / 10,
  columns,
  rows: rows.map((row) => row.map(String)),
  faults,
})

const tableRow = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`

function sectionOf(name, { title, about }, result) {
  const head = `## ${title}\n\n${about}\n\n\`npm run campaign -- ${name}\`: `
  if (result === undefined) return `${head}it has not run yet.\n`
  const { date, machine, node, seed, minutes, columns, rows, faults } = result
  const table = [tableRow(columns), tableRow(columns.map(() => '---')), ...rows.map(tableRow)].join('\n')
  const found =
    faults.length === 0
      ? 'No fault.'
      : `**Faults: ${faults.length}.**\n\n${faults.map((fault) => `- ${fault}`).join('\n')}`
  return `${head}${date}, ${minutes} minutes on ${machine}, Node ${node}, seed ${seed}.\n\n${table}\n\n${found}\n`
}

/** docs/reliability.md: a section a campaign, those without figures included. */
export const documentOf = (campaigns, results) => `# Reliability

What goes wrong around a run is made to go wrong here, many times over: processes are killed, files are made wrong, disks fill,
machines are cut off. Each campaign is a command; the tests run a short form of each. This page is written by \`npm run campaign\`.

${Object.entries(campaigns)
  .map(([name, campaign]) => sectionOf(name, campaign, results[name]))
  .join('\n')}`
