// rdm-data: says what a data set is; downloads, checks and synthesizes some.

import { SingleBar } from 'cli-progress'
import { Argument, type Command } from 'commander'
import { z } from 'zod'
import { UserError } from '../core/errors.js'
import { cifarLayouts, type DatasetFormat } from '../driver/data/cifar.js'
import type { Dataset } from '../driver/data/dataset.js'
import {
  bytesOf,
  type Fetched,
  fetchDataset,
  fetchFiles,
  officialArchives,
  officialFiles,
} from '../driver/data/fetch.js'
import { type ColumnInfo, type DatasetInfo, describeDataset } from '../driver/data/info.js'
import { readDataset } from '../driver/data/readers.js'
import { patternNames, synthesize } from '../driver/data/synth.js'
import { type DatasetReport, type FileReport, verifyDataset } from '../driver/data/verify.js'
import { checkWritable, writeCifar10 } from '../driver/data/writeCifar.js'
import { grouped, table } from '../driver/format/table.js'
import { createProgram, parsedBy, runProgram, seedNumber, wholeNumber } from './command.js'
import { holdOutOption } from './data.js'
import { print } from './output.js'

export async function main(argv: string[]): Promise<void> {
  const program = createProgram('rdm-data', 'Look at, download, check and synthesize data sets to train on.', [
    'rdm-data fetch cifar10',
    'rdm-data info houses.csv',
    'rdm-data verify data/cifar-10-batches-bin',
    'rdm-data synth data/patterns',
  ])
  for (const command of [infoCommand(), fetchCommand(), verifyCommand(), synthCommand()]) program.addCommand(command)
  await runProgram(program, argv)
}

const sizes = ({ train, test }: Dataset) =>
  `${grouped(train.count)} training and ${grouped(test.count)} test images of ${train.columns.labels?.classes?.length} classes`

function infoCommand(): Command {
  return createProgram('info', 'Say what a data set is: its format, splits and columns.', [
    'rdm-data info data/cifar-10-batches-bin',
    'rdm-data info houses.csv --hold-out 0.1',
    'rdm-data info photos --json | jq .columns',
  ])
    .argument(
      '<path>',
      'a file or a folder: CIFAR, MNIST (IDX), arrays (.npz, .npy, .safetensors), a table (.csv), images in a folder a class',
    )
    .addOption(holdOutOption())
    .option('--json', 'print one JSON object')
    .action(async (path: string, { holdOut, json }: { holdOut?: number; json?: true }) => {
      const info = describeDataset(await readDataset(path, { holdOut }))
      print(json ? `${JSON.stringify({ path, ...info })}\n` : describeInfo(path, info))
    })
}

/** Columns that are printed: a table may have hundreds. */
const mostColumns = 50
/** Classes that are named. */
const mostClasses = 5
/** Names are somebody's: what would move a terminal's cursor is not printed. */
const printable = (name: string) => name.replace(/\p{Cc}/gu, '\uFFFD')

function describeInfo(path: string, { format, train, test, heldOut, columns }: DatasetInfo): string {
  const held = heldOut === undefined ? '' : ` (${heldOut} held out)`
  const rows = columns
    .slice(0, mostColumns)
    .map((column) => [printable(column.name), column.dtype, sizeText(column), classText(column)])
  const more = columns.length > mostColumns ? `… and ${columns.length - mostColumns} more columns\n` : ''
  return [
    `${path}: ${format}, ${grouped(train)} training and ${grouped(test)} test examples${held}`,
    '',
    `${table([['column', 'type', 'size', 'classes'], ...rows])}${more}`,
  ].join('\n')
}

/** Of one example; images as width × height. */
function sizeText({ kind, shape, sizes }: ColumnInfo): string {
  if (kind === 'tensor') return shape.length === 0 ? 'a number' : shape.join('×')
  const [least, most] = [sizes?.smallest, sizes?.largest].map((size) => size && `${size[1]}×${size[0]}`)
  return `image files${least === undefined ? '' : least === most ? `, ${least}` : `, ${least} to ${most}`}`
}

function classText({ classes }: ColumnInfo): string {
  if (!classes) return ''
  const named = classes
    .slice(0, mostClasses)
    .map(printable)
    .map((name) => (name.length > 20 ? `${name.slice(0, 19)}…` : name))
  return `${classes.length}: ${named.join(', ')}${classes.length > mostClasses ? ', …' : ''}`
}

function fetchCommand(): Command {
  const address = z.url({ protocol: /^https?$/, error: 'Expected an http or https address' })
  return createProgram(
    'fetch',
    'Download the official CIFAR-10 or CIFAR-100 (binary version), MNIST or Fashion-MNIST.',
    [
      'rdm-data fetch cifar10',
      'rdm-data fetch mnist',
      'rdm-data fetch cifar100 --dir /data',
      'rdm-data fetch cifar10 --from https://mirror.example/cifar-10-binary.tar.gz',
    ],
  )
    .addArgument(
      new Argument('<name>', 'which data set').choices([
        ...Object.keys(officialArchives),
        ...Object.keys(officialFiles),
      ]),
    )
    .option('--dir <folder>', 'where the folder of the data set goes', 'data')
    .option('--from <url>', 'a copy to download instead: of the archive, or of the folder of files', parsedBy(address))
    .action(async (name: DatasetFormat | keyof typeof officialFiles, options: { dir: string; from?: string }) => {
      const { folder, dataset, fresh } = await fetched(name, options)
      print(`${folder}: ${sizes(dataset)}${fresh ? '' : ', already there'}\n`)
    })
}

async function fetched(
  name: DatasetFormat | keyof typeof officialFiles,
  { dir, from }: { dir: string; from?: string },
): Promise<Fetched> {
  if (name === 'cifar10' || name === 'cifar100') {
    const archive = { ...officialArchives[name], ...(from ? { url: from } : {}) }
    const progress = downloadProgress(archive.url, archive.bytes)
    return fetchDataset(archive, dir, progress).finally(progress.stop)
  }
  const files = { ...officialFiles[name], ...(from ? { url: from.replace(/\/?$/, '/') } : {}) }
  const progress = downloadProgress(files.url, bytesOf(files))
  return fetchFiles(files, dir, progress).finally(progress.stop)
}

/** On a terminal a bar, elsewhere a line when the download begins; both on standard error. */
function downloadProgress(url: string, total: number) {
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1)
  let begun = false
  let bar: SingleBar | undefined
  return {
    onProgress(received: number) {
      if (!begun && process.stderr.isTTY) {
        bar = new SingleBar({
          format: '{bar} {percentage} % of {of} MB, {eta_formatted} left',
          etaBuffer: 200,
          stream: process.stderr,
        })
        bar.start(total, received, { of: megabytes(total) })
      } else if (!begun) {
        process.stderr.write(`downloading ${megabytes(total)} MB from ${url}\n`)
      }
      begun = true
      bar?.update(received)
    },
    stop: () => bar?.stop(),
  }
}

function verifyCommand(): Command {
  return createProgram('verify', 'Check the files of a data set: sizes, labels, checksums.', [
    'rdm-data verify data/cifar-10-batches-bin',
    'rdm-data verify data/cifar-10-batches-bin --json | jq .train',
  ])
    .argument('<folder>', 'the folder of the data set, or its parent')
    .option('--json', 'print one JSON object')
    .action(async (dir: string, options: { json?: true }) => {
      const report = await verifyDataset(dir)
      print(options.json ? `${JSON.stringify(report)}\n` : describeReport(report))
      const [first, ...others] = report.problems
      if (first !== undefined) {
        throw new UserError(others.length === 0 ? first : `${first} (and ${others.length} more)`)
      }
    })
}

function describeReport(report: DatasetReport): string {
  const title = cifarLayouts[report.format].title
  const checksum = (file: FileReport) =>
    file.listed === false ? 'WRONG' : file.official ? 'official' : file.listed ? 'as listed' : 'not known'
  const files = [
    ['file', 'records', 'bytes', 'md5', 'checksum'],
    ...report.files.map((file) => [file.name, grouped(file.records), grouped(file.bytes), file.md5, checksum(file)]),
  ]
  const classes = [
    ['class', 'training', 'test'],
    ...report.classes.map(({ name, train, test }) => [name, grouped(train), grouped(test)]),
    ['all', grouped(report.train), grouped(report.test)],
  ]
  const verdict =
    report.problems.length === 0
      ? `All is well${report.official ? `: the official ${title}` : ''}.`
      : ['Problems:', ...report.problems.map((problem) => `  ${problem}`)].join('\n')
  const heading = `${report.folder}: ${title} binary version, ${report.classes.length} classes`
  return [heading, '', table(files), table(classes), verdict, ''].join('\n')
}

function synthCommand(): Command {
  return createProgram('synth', 'Write a synthetic data set of ten patterns, in the files of CIFAR-10.', [
    'rdm-data synth data/patterns',
    'rdm-data synth data/tiny --train 500 --test 100 --seed 7',
  ])
    .argument('<folder>', 'a folder that is new or empty')
    .option('--train <images>', 'training images', parsedBy(wholeNumber(5, 300_000)), 5000)
    .option('--test <images>', 'test images', parsedBy(wholeNumber(1, 300_000)), 1000)
    .option('--classes <count>', 'how many of the patterns', parsedBy(wholeNumber(2, patternNames.length)), 10)
    .option('--seed <number>', 'the same seed gives the same bytes', parsedBy(seedNumber), 0)
    .action(async (dir: string, options: { train: number; test: number; classes: number; seed: number }) => {
      await checkWritable(dir)
      const dataset = synthesize(options)
      await writeCifar10(dir, dataset)
      print(`${dir}: ${sizes(dataset)}\n`)
    })
}
