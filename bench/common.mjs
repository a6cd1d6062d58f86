// What the benchmarks have in common: options, networks, figures, and where results go.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findNetwork, readDataset, recipes, synthesize } from 'rdm-onnx'

/** Bad input and whatever else keeps a benchmark from measuring: one line, exit code 2. */
export const fail = (message) => {
  console.error(message.replace(/\s+/g, ' ').trim())
  process.exit(2)
}

/** An option of parseArgs with a default. */
export const option = (value) => ({ type: 'string', default: String(value) })

/** The option's comma-separated whole numbers. */
export function countsOf(values, name) {
  const texts = values[name].split(',')
  const wrong = texts.find((text) => !/^[1-9]\d{0,5}$/.test(text))
  return wrong === undefined ? texts.map(Number) : fail(`--${name} takes whole numbers from 1, got '${wrong}'`)
}

export function countOf(values, name) {
  const [count, ...more] = countsOf(values, name)
  return more.length === 0 ? count : fail(`--${name} takes one number, got '${values[name]}'`)
}

/** A network of the zoo, with other blocks (an option such as 1,1,1) if they are given, and its recipe. */
export function networkOf(values) {
  const entry = findNetwork(values.arch)
  if (!entry) return fail(`no network is called '${values.arch}'; npx rdm-export --list names them`)
  const { architecture, recipe = 'paper' } = entry
  if (values.blocks === undefined) return { architecture, recipe: recipes[recipe] }
  const blocks = countsOf(values, 'blocks')
  const stages = architecture.widths.length
  if (blocks.length !== stages) return fail(`--blocks takes ${stages} numbers, got '${values.blocks}'`)
  return {
    architecture: { ...architecture, name: `${values.arch}-${blocks.join('-')}`, blocks },
    recipe: recipes[recipe],
  }
}

/** The data in a folder, or as many synthetic images without one. */
export const dataOf = async (folder, counts) =>
  folder === undefined ? synthesize({ ...counts, seed: 1 }) : readDataset(folder)

/** What a step is fed with: the batch by the names of inputs and targets, and its hyperparameters as the file has them. */
export function feedsOf({ inputs, targets, hyperparameters }, batch, learningRate) {
  const scalar = (value) => ({ dtype: 'float32', shape: [], data: Float32Array.of(value) })
  const values = Object.entries(hyperparameters).map(([name, value]) => [name, scalar(value ?? learningRate)])
  return Object.fromEntries([...[...inputs, ...targets].map(({ name }) => [name, batch[name]]), ...values])
}

export const quantile = (values, q) => {
  const sorted = [...values].sort((a, b) => a - b)
  const place = (sorted.length - 1) * q
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]]
  return low + (high - low) * (place % 1)
}
export const median = (values) => quantile(values, 0.5)
export const quartiles = (values) => [quantile(values, 0.25), quantile(values, 0.75)]

/** A folder that is gone with the process. */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A long message as a table can hold it. */
export const short = (text) => (text.length > 80 ? `${text.slice(0, 79)}…` : text)

/** Columns side by side, flush right. */
export function printTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  for (const row of rows) console.log(row.map((cell, column) => cell.padStart(widths[column])).join('   '))
}

/** Into bench/results, or the folder that RESULTS names. */
export function writeResult(name, text) {
  const folder = process.env.RESULTS || fileURLToPath(new URL('results', import.meta.url))
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, name), text)
}

/** The widest vectors of the processor, which decide how ONNX Runtime computes; undefined where the system does not say. */
function vectors() {
  try {
    const flags = readFileSync('/proc/cpuinfo', 'utf8')
    return ['avx512f', 'avx2'].find((flag) => new RegExp(`\\b${flag}\\b`).test(flags))
  } catch {
    return undefined
  }
}

const machineOf = () => ({
  cpu: cpus()[0].model.trim(),
  vectors: vectors(),
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
})

/** For people: processor, vectors, cores. */
export function machineName() {
  const { cpu, vectors, cores } = machineOf()
  const names = { avx512f: 'AVX-512', avx2: 'AVX2' }
  return [cpu, names[vectors], `${cores} ${cores === 1 ? 'core' : 'cores'}`].filter(Boolean).join(', ')
}

/** Writes figures with the day, the machine and the versions that they belong to. */
export function writeReport(name, figures) {
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json')
  const versions = { node: process.version, 'onnxruntime-node': version }
  const report = { date: new Date().toISOString().slice(0, 10), machine: machineOf(), versions, ...figures }
  writeResult(name, `${JSON.stringify(report, null, 2)}\n`)
}
