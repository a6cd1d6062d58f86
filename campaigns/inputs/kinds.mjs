// The kinds of files that are made wrong: good ones of each, how they are changed beside anywhere in their bytes, and who reads them:
// the functions that the commands read with.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { readInput } from '../../dist/src/cli/input.js'
import { UserError } from '../../dist/src/core/errors.js'
import { randomStream } from '../../dist/src/core/random.js'
import { encodeAdapter } from '../../dist/src/driver/artifacts/adapter.js'
import { fetchDataset, officialArchives } from '../../dist/src/driver/data/fetch.js'
import { decodeImages } from '../../dist/src/driver/data/imageFiles.js'
import { loadCheckpoint, readProgress } from '../../dist/src/driver/run/checkpoint.js'
import { holderOf, lockFolder } from '../../dist/src/driver/run/lock.js'
import { readRunInfo } from '../../dist/src/driver/run/runFolder.js'
import { encodeSafetensors } from '../../dist/src/driver/run/safetensors.js'
import { readSeeds } from '../../dist/src/driver/seeds/seedsFolder.js'
import { exportGraph, readDataset, readNetwork, readTrainableModel, signatureOf } from '../../dist/src/index.js'
import { readFolders } from '../../dist/src/study/report/read.js'
import { formatExperiment } from '../../dist/src/study/repro/folder.js'
import { readPlan } from '../../dist/src/study/repro/plan.js'
import { experimentStatus } from '../../dist/src/study/repro/status.js'
import { changedBytes, pick } from './bytes.mjs'
import { archive, arrays, cifar10, cifar100, csv, filesIn, mnist, pictures, tensors, utf8 } from './good.mjs'
import { changedModel } from './models.mjs'
import { origins } from './origins.mjs'
import { json, npy, safetensors, table, yaml, zip } from './texts.mjs'

/** Of a message; more no terminal shows as a line. */
export const mostMessage = 1100

const root = join(import.meta.dirname, '..', '..')
/** Where each of several functions may refuse, and each is tried; a refusal of any is told. */
async function all(...reads) {
  let refused
  for (const read of reads) {
    try {
      await read()
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      refused ??= error
      if (/[\n\r\u2028]/.test(error.message) || error.message.length > mostMessage) throw error
    }
  }
  if (refused) throw refused
}

/** Writing takes what was read: names of any length too, which its messages may hold. */
function rewrite(network) {
  const weights = new Map(network.parameters.map(({ origin }) => [origin.name, origin.initializer.tensor]))
  try {
    exportGraph(network, weights)
  } catch (error) {
    throw error instanceof UserError ? new UserError(error.message.slice(0, mostMessage)) : error
  }
}

async function readModel(folder, [name]) {
  const bytes = await readInput(join(folder, name))
  await all(
    () => signatureOf(bytes),
    () => rewrite(readNetwork(bytes)),
    () => {
      const model = readTrainableModel(bytes)
      readTrainableModel(model.withState(model.state))
      model.inference(model.state)
    },
  )
}

/** A set in one file is given as that, others by their folder. */
export const dataPath = (folder, name) => (name.startsWith('data.') ? join(folder, name) : folder)

async function readData(folder, [name]) {
  const { train, test } = await readDataset(dataPath(folder, name))
  for (const { columns } of [train, test])
    for (const column of Object.values(columns))
      if (column.kind === 'image files') await decodeImages(column.files, [3, 8, 8])
}

/** Inside of what gzip packed. */
const inside = (change) => (random, bytes) => {
  const whole = new Uint8Array(gunzipSync(bytes))
  return new Uint8Array(gzipSync(change(random, whole, [whole])))
}
const anywhere = (random, bytes, others) => changedBytes(random, bytes, others)[1]

const readRun = (folder) =>
  all(
    () => readRunInfo(folder),
    () => loadCheckpoint(folder),
    () => readProgress(folder),
    () => holderOf(folder),
    () => lockFolder(folder)(),
    () => readSeeds(folder),
    () => readFolders([folder]),
  )

/** What is asked of an archive that lies there whole. */
async function unpackArchive(folder, [, bytes]) {
  const md5 = createHash('md5').update(bytes).digest('hex')
  await fetchDataset({ ...officialArchives.cifar10, url: 'http://127.0.0.1:9/', bytes: bytes.length, md5 }, folder)
}

const folderOf = (files) => Object.entries(files)

/**
 * The kinds. `seeds`: sets of files that belong together, of which one is changed; `change`: how, by the ending of its name, beside
 * anywhere in its bytes; `read(folder, [name, bytes])` of the changed one.
 * @param scratch for what is made on the way
 * @param run the folder of a run
 */
export async function kindsOf(scratch, run) {
  const models = origins()
  const perOrigin = Object.entries(models).map(([name, files]) => ({
    kind: `ONNX: ${name}`,
    share: 1,
    seeds: files.map(([file, bytes]) => ({ [file.endsWith('.onnx') ? file : `${file}.onnx`]: bytes })),
    others: Object.values(models).flatMap((some) => some.map(([, bytes]) => bytes)),
    change: { '.onnx': (random, bytes, others) => changedModel(random, bytes, others)[1] },
    always: true,
    read: readModel,
  }))
  const experiment = await readPlan(join(root, 'graphs/plans/small.yaml'))
  const data = { path: '/data', sha256: '0'.repeat(64) }
  const yamls = readdirSync(join(root, 'graphs/plans')).map((name) => ({
    [name]: new Uint8Array(readFileSync(join(root, 'graphs/plans', name))),
  }))
  const adapter = { 'tuned.onnx_adapter': encodeAdapter(new Map(Object.entries(tensors()))) }
  const rows = { '.csv': table, '.tsv': table }
  return [
    ...perOrigin,
    {
      kind: 'safetensors',
      share: 2,
      seeds: [
        { 'data.safetensors': encodeSafetensors({ tensors: tensors(), metadata: { from: 'here' } }) },
        Object.fromEntries(
          ['train', 'test'].map((part) => [
            `${part}.safetensors`,
            encodeSafetensors({ tensors: tensors(), metadata: {} }),
          ]),
        ),
      ],
      change: { '.safetensors': safetensors },
      read: readData,
    },
    { kind: 'CIFAR', share: 2, seeds: [cifar10(), cifar100()], read: readData },
    {
      kind: 'IDX, plain and gzip',
      share: 2,
      seeds: [mnist(), mnist(gzipSync, '.gz')],
      change: { '.gz': inside(anywhere) },
      read: readData,
    },
    { kind: 'npy', share: 1, seeds: [Object.fromEntries(arrays())], change: { '.npy': npy }, read: readData },
    {
      kind: 'npz: zip archives',
      share: 3,
      seeds: [false, true].map((deflated) => ({ 'data.npz': zip(arrays(), deflated) })),
      change: {
        '.npz'(random) {
          const wrong = arrays()
          const at = random.below(wrong.length)
          wrong[at][1] = random.below(2) ? npy(random, wrong[at][1]) : anywhere(random, wrong[at][1], [wrong[0][1]])
          if (random.below(4) === 0)
            wrong[at][0] = pick(random, ['../x.npy', '/x.npy', 'x', 'x.npy', 'a\nb.npy', '__proto__.npy'])
          return zip(wrong, random.below(2) === 1)
        },
      },
      read: readData,
    },
    {
      kind: 'CSV',
      share: 2,
      seeds: [{ 'data.csv': csv(30, 'all') }, { 'train.csv': csv(20, 'train'), 'test.csv': csv(9, 'test') }],
      change: rows,
      read: readData,
    },
    { kind: 'images in folders', share: 2, seeds: [await pictures()], read: readData },
    {
      kind: 'plans',
      share: 2,
      seeds: yamls,
      change: { '.yaml': yaml },
      read: (folder, [name]) => readPlan(join(folder, name)),
    },
    {
      kind: 'plan.json of an experiment',
      share: 1,
      seeds: [{ 'plan.json': utf8(formatExperiment({ plan: experiment, data })) }],
      change: { '.json': json },
      read: (folder) => experimentStatus(folder),
    },
    {
      kind: 'run folders',
      share: 3,
      seeds: [
        {
          ...filesIn(run),
          lock: utf8(JSON.stringify({ pid: 2 ** 30, host: hostname(), started: null })),
          'seeds.json': utf8('{"format":"rdm-onnx seeds 1","seeds":[1,2]}\n'),
        },
      ],
      change: {
        '.json': json,
        '.jsonl': json,
        lock: json,
        '.safetensors': safetensors,
        '.onnx': (random, bytes, others) => changedModel(random, bytes, [bytes])[1] ?? others,
      },
      read: readRun,
    },
    { kind: 'adapters, given as models', share: 1, seeds: [adapter], read: readModel },
    {
      kind: 'tar archives',
      share: 1,
      seeds: [await archive(scratch)],
      change: { '.part': inside(anywhere) },
      read: unpackArchive,
    },
  ].map((kind) => ({
    ...kind,
    pieces: kind.others ?? kind.seeds.flatMap((files) => folderOf(files).map(([, bytes]) => bytes)),
  }))
}

/** The files of a run of a kind: one of them is wrong. */
export function wrongFiles({ kind, seeds, pieces, change = {}, always = false }, seed, run) {
  const random = randomStream(seed, kind, run)
  const good = pick(random, seeds)
  const name = pick(random, Object.keys(good))
  const say = Object.entries(change).find(([ending]) => name.endsWith(ending))?.[1]
  const bytes =
    say && (always || random.below(2)) ? say(random, good[name], pieces) : changedBytes(random, good[name], pieces)[1]
  return { name, files: { ...good, [name]: new Uint8Array(bytes) } }
}
