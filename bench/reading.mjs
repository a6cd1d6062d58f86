// Reading large files: `npm run build && node bench/reading.mjs`. Time to read and to write files of 20,000 nodes, and the memory
// that reading a file of 500 MB takes, in a process of its own.

import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { exportGraph, readNetwork } from 'rdm-onnx/core'
import { countOf, median, option, printTable, quartiles, temporaryFolder, writeReport } from './common.mjs'
import { byNodes, matrices } from './largeFiles.mjs'

const MUST = { ms: 2000, memory: 1.3 }
const MB = 1e6

const { values, positionals } = parseArgs({
  options: { nodes: option(20_000), megabytes: option(500), rounds: option(5) },
  allowPositionals: true,
})

const weightsOf = ({ parameters }) => new Map(parameters.map(({ origin }) => [origin.name, origin.initializer.tensor]))

if (positionals.length > 0) {
  // The process whose memory is measured: before and after reading the file, and the most that it held.
  const bytes = readFileSync(positionals[0])
  const before = process.memoryUsage().rss
  const network = readNetwork(bytes)
  const { maxRSS } = process.resourceUsage()
  const weights = [...weightsOf(network).values()]
  const copied = weights.filter(({ data }) => data.buffer !== bytes.buffer).length
  console.log(JSON.stringify({ size: bytes.length, before, peak: maxRSS * 1024, weights: weights.length, copied }))
  process.exit()
}

const [nodes, megabytes, rounds] = ['nodes', 'megabytes', 'rounds'].map((name) => countOf(values, name))

const timed = (act) => {
  const start = performance.now()
  const result = act()
  return [performance.now() - start, result]
}

const kinds = Object.entries(byNodes).map(([kind, make]) => ({ kind, bytes: make(nodes), read: [], write: [] }))
for (let round = 0; round < rounds; round++)
  for (const { bytes, read, write } of kinds) {
    const [reading, network] = timed(() => readNetwork(bytes))
    const [writing] = timed(() => exportGraph(network, weightsOf(network)))
    read.push(reading)
    write.push(writing)
  }

const shown = (times) => `${Math.round(median(times))} (${quartiles(times).map(Math.round).join('–')})`
printTable([
  [`${nodes} nodes`, 'MB', 'read, ms (quartiles)', 'first', 'write, ms (quartiles)'],
  ...kinds.map(({ kind, bytes, read, write }) => [
    kind,
    (bytes.length / MB).toFixed(1),
    shown(read),
    String(Math.round(read[0])),
    shown(write),
  ]),
])
const slow = kinds.filter(({ read, write }) => Math.max(read[0], write[0]) > MUST.ms)
console.log(slow.length === 0 ? `all within ${MUST.ms} ms` : `above ${MUST.ms} ms: ${slow.map(({ kind }) => kind)}`)

const folder = temporaryFolder()
const memory = [true, false].flatMap((raw) =>
  [0, 1, 2, 3].map((padding) => {
    const path = join(folder, 'model.onnx')
    writeFileSync(path, matrices(megabytes * MB, padding, raw))
    const { stdout } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), path], { encoding: 'utf8' })
    const { size, before, peak, ...counts } = JSON.parse(stdout)
    return { numbers: raw ? 'raw data' : 'floats', ...counts, bytes: size, above: (peak - before) / size }
  }),
)
printTable([
  ['numbers as', 'MB', 'weights', 'of which copied', 'memory above the file, of its size'],
  ...memory.map(({ numbers, bytes, weights, copied, above }) => [
    numbers,
    (bytes / MB).toFixed(0),
    String(weights),
    String(copied),
    above.toFixed(2),
  ]),
])
const most = Math.max(...memory.map(({ above }) => above))
console.log(`at most ${most.toFixed(2)} ×; must: ${MUST.memory} ×`)

writeReport('reading.json', {
  nodes: kinds.map(({ kind, bytes, read, write }) => ({ kind, bytes: bytes.length, read, write })),
  memory,
})
