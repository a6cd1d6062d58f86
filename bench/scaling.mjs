// How a training step grows with the batch, the images, the depth and the threads, beside PyTorch's: `npm run build && node
// bench/scaling.mjs`, after bench/peers/setup.sh. The networks are RDM-ResNets (basic blocks, functions 11 and 01) with n blocks in each
// of three stages; n = 9 is RDM-56. Of each point ours and PyTorch's two layouts take their turns, each in a process of its own, so
// that its peak of memory is its own.

import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  countOf,
  countsOf,
  fail,
  machineName,
  option,
  printTable,
  temporaryFolder,
  writeReport,
  writeResult,
} from './common.mjs'
import { isInstalled, oursBy } from './contestants.mjs'
import { measure } from './measure.mjs'
import { scalingSvg } from './scalingChart.mjs'
import { ofZoo } from './subjects.mjs'

/** What is compared, ours first: it is what the others' losses are checked against. */
const ours = oursBy('ort-cpu')
const torch = ['torch contiguous', 'torch channels_last']

function readOptions() {
  const { values } = parseArgs({
    options: {
      /** Images in a batch, with each of --threads: n = 3, 32×32 pixels. */
      batch: option('1,2,4,8,16,32,64,128,256,512'),
      /** Height and width of the images, at the first of --threads: n = 3, 16 images. */
      size: option('32,64,96,128,160,192,224'),
      /** Blocks of each stage, at the first of --threads: 128 images of 32×32. */
      n: option('1,3,9,18'),
      threads: option([...new Set([availableParallelism(), 1])].join(',')),
      rounds: option(5),
      /** Whether PyTorch takes part. */
      alone: { type: 'boolean', default: false },
    },
  })
  const [batch, size, n, threads] = ['batch', 'size', 'n', 'threads'].map((name) => countsOf(values, name))
  const names = values.alone ? [ours] : [ours, ...torch]
  const missing = names.find((name) => !isInstalled('zoo', name))
  if (missing !== undefined) fail(`'${missing}' is not installed: run bench/peers/setup.sh, or add --alone`)
  return { sweeps: { batch, size, n }, threads, rounds: countOf(values, 'rounds'), names }
}

/** Every point once: what varies, and what all of them have. */
function pointsOf({ batch, size, n }, threads) {
  const [most] = threads
  const usual = { n: 3, size: 32, threads: most }
  return [
    ...threads.flatMap((count) => batch.map((value) => ({ ...usual, sweep: 'batch', batch: value, threads: count }))),
    ...size.map((value) => ({ ...usual, sweep: 'size', size: value, batch: 16 })),
    ...n.map((value) => ({ ...usual, sweep: 'n', n: value, batch: 128 })),
  ]
}

const nameOf = ({ n, size, batch, threads }) =>
  `n = ${n}, batch ${batch}, ${size}×${size} pixels, ${threads} ${threads === 1 ? 'thread' : 'threads'}`

async function measurePoint(point, folder, { names, rounds }) {
  console.log(nameOf(point))
  const { n, size, batch, threads } = point
  const subject = ofZoo('rdm56', { blocks: [n, n, n].join(','), imageSize: size })
  const { results } = await measure(subject, folder, { names, rounds, threads, batch, starts: 0, budget: 60e3 })
  return {
    ...point,
    results: results.map(({ name, median, quartiles, peakBytes, failed }) => ({
      name,
      median,
      quartiles,
      peakBytes,
      failed,
    })),
  }
}

const mib = (bytes) => (bytes / 2 ** 20).toFixed(0)

function print(points) {
  console.log()
  printTable([
    [
      'n',
      'batch',
      'pixels a side',
      'threads',
      'ours, ms an image',
      'PyTorch, ms an image',
      'ratio',
      'ours, MiB',
      'PyTorch, MiB',
    ],
    ...points.map(({ n, batch, size, threads, results }) => {
      const own = results.find(({ name }) => name === ours)
      const others = results.filter(({ name, median }) => name !== ours && median !== undefined)
      const least = (value) => Math.min(...others.map(value))
      const fastest = least(({ median }) => median)
      const known = others.length > 0 && own.median !== undefined
      return [
        ...[n, batch, size, threads].map(String),
        own.median === undefined ? '–' : (own.median / batch).toFixed(2),
        known ? (fastest / batch).toFixed(2) : '–',
        known ? (fastest / own.median).toFixed(2) : '',
        own.peakBytes === undefined ? '–' : mib(own.peakBytes),
        known ? mib(least(({ peakBytes }) => peakBytes)) : '–',
      ]
    }),
  ])
}

async function main() {
  const { sweeps, threads, ...options } = readOptions()
  const folder = temporaryFolder()
  const points = []
  for (const [i, point] of pointsOf(sweeps, threads).entries()) {
    points.push(await measurePoint(point, join(folder, String(i)), options))
    // Each time: the whole takes half an hour.
    writeReport('scaling.json', { rounds: options.rounds, points })
    writeResult('scaling.svg', scalingSvg(points, machineName()))
  }
  print(points)
}

main().catch(({ message }) => fail(message))
