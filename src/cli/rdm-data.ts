// rdm-data: downloads, checks and synthesizes data sets.

import { SingleBar } from 'cli-progress'
import { Argument, type Command } from 'commander'
import { z } from 'zod'
import { UserError } from '../core/errors.js'
import { cifarLayouts, type DatasetFormat } from '../driver/data/cifar.js'
import type { ImageDataset } from '../driver/data/dataset.js'
import { fetchDataset, officialArchives } from '../driver/data/fetch.js'
import { patternNames, synthesize } from '../driver/data/synth.js'
import { type DatasetReport, type FileReport, verifyDataset } from '../driver/data/verify.js'
import { checkWritable, writeCifar10 } from '../driver/data/writeCifar.js'
import { grouped, table } from '../driver/format/table.js'
import { createProgram, parsedBy, runProgram, seedNumber, wholeNumber } from './command.js'

export async function main(argv: string[]): Promise<void> {
  const program = createProgram('rdm-data', 'Download, check and synthesize data sets to train on.', [
    'rdm-data fetch cifar10',
    'rdm-data verify data/cifar-10-batches-bin',
    'rdm-data synth data/patterns',
  ])
  for (const command of [fetchCommand(), verifyCommand(), synthCommand()]) program.addCommand(command)
  await runProgram(program, argv)
}

const sizes = ({ train, test }: ImageDataset) =>
  `${grouped(train.count)} training and ${grouped(test.count)} test images of ${train.classes.length} classes`

function fetchCommand(): Command {
  const address = z.url({ protocol: /^https?$/, error: 'Expected an http or https address' })
  return createProgram('fetch', 'Download and unpack the official CIFAR-10 or CIFAR-100, binary version.', [
    'rdm-data fetch cifar10',
    'rdm-data fetch cifar100 --dir /data',
    'rdm-data fetch cifar10 --from https://mirror.example/cifar-10-binary.tar.gz',
  ])
    .addArgument(new Argument('<name>', 'which data set').choices(Object.keys(officialArchives)))
    .option('--dir <folder>', 'where the folder of the data set goes', 'data')
    .option('--from <url>', 'a copy of the official archive to download instead', parsedBy(address))
    .action(async (name: DatasetFormat, options: { dir: string; from?: string }) => {
      const archive = { ...officialArchives[name], ...(options.from ? { url: options.from } : {}) }
      const progress = downloadProgress(archive.url, archive.bytes)
      const { folder, dataset, fresh } = await fetchDataset(archive, options.dir, progress).finally(progress.stop)
      process.stdout.write(`${folder}: ${sizes(dataset)}${fresh ? '' : ', already there'}\n`)
    })
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
      process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : describeReport(report))
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
      process.stdout.write(`${dir}: ${sizes(dataset)}\n`)
    })
}
