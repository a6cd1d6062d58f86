// What the commands share that look at a trained model: their options, the images that take part, progress, pictures.
import { SingleBar } from 'cli-progress'
import { type Command, Option } from 'commander'
import { UserError } from '../../core/errors.js'
import { randomStream } from '../../core/random.js'
import { readCifar } from '../../driver/data/cifar.js'
import type { ImageSet } from '../../driver/data/dataset.js'
import { duration } from '../../driver/format/units.js'
import { requirePackages } from '../../driver/optional.js'
import { writeOutput } from '../../driver/output.js'
import { type Provider, providers, type SessionSettings } from '../../driver/runtime/protocol.js'
import type { Watch } from '../../study/paths/measure.js'
import { choose } from '../../study/paths/sampling.js'
import { parsedBy, seedNumber, wholeNumber } from '../command.js'
import { barOptions } from '../progress/progress.js'
import { untilSignal } from '../stopping.js'

type Split = 'train' | 'test'

export interface MeasuringFlags {
  readonly data: string
  readonly split: Split
  readonly samples: number
  readonly images?: number
  readonly seed: number
  readonly threads?: number
  readonly ep: Provider
  readonly out?: string
  readonly json?: true
}

/** Gives a command its model, data and what else these commands take. */
export const addMeasuringOptions = (
  command: Command,
  { split, samples, of }: { readonly split: Split; readonly samples: number; readonly of: string },
): Command =>
  command
    .argument('<model>', 'a trained model, as rdm-fit writes it; - reads standard input')
    .requiredOption('--data <folder>', 'folder of the data set, in the CIFAR-10 or CIFAR-100 binary format')
    .addOption(new Option('--split <name>', 'which images').choices(['test', 'train']).default(split))
    .option('--samples <count>', of, parsedBy(wholeNumber(1, 1_000_000)), samples)
    .option('--images <count>', 'so many of the images, drawn at random (default: all)', parsedBy(wholeNumber(1, 1e9)))
    .option('--seed <number>', 'of all that is drawn', parsedBy(seedNumber), 1)
    .option('--threads <count>', 'threads (default: all cores)', parsedBy(wholeNumber(1, 1024)))
    .addOption(new Option('--ep <provider>', 'execution provider').choices(providers).default('cpu'))
    .option('--out <file>', 'write a picture, too: SVG or PNG, by the name')
    .option('--json', 'print one JSON object; whole numbers beyond 2^53 are strings')

export const sessionSettings = ({ threads, ep }: MeasuringFlags): SessionSettings => ({
  provider: ep,
  ...(threads === undefined ? {} : { threads }),
})

export interface Chosen {
  readonly set: ImageSet
  /** Which images take part, in rising order. */
  readonly indices: readonly number[]
}

/** @throws UserError when there are not so many images */
export async function chosenImages({ data, split, images, seed }: MeasuringFlags): Promise<Chosen> {
  const set = (await readCifar(data))[split]
  const count = images ?? set.count
  if (count > set.count)
    throw new UserError(`--images ${count} is more than the ${set.count} images of ${data} (--split ${split})`)
  return { set, indices: choose(set.count, count, randomStream(seed, 'images')).sort((a, b) => a - b) }
}

/**
 * Shows how far long work is, where standard error is a terminal, and lets a signal stop it.
 * @param work gives undefined when it was stopped
 */
export async function watched<T>(what: string, work: (watch: Watch) => Promise<T>): Promise<T> {
  const { stderr } = process
  const bar = stderr.isTTY
    ? new SingleBar(barOptions(stderr, `${what} [{bar}] {value}/{total}  {left} left`))
    : undefined
  const begun = performance.now()
  const onProgress = (done: number, total: number) => {
    if (!bar) return
    const left = done === 0 ? '' : duration(((performance.now() - begun) / done) * (total - done))
    if (!bar.isActive) bar.start(total, 0, { left })
    bar.update(done, { left })
  }
  const onStop = () => {
    bar?.stop()
    stderr.write('stopping after this batch; once more to stop at once\n')
  }
  try {
    return await untilSignal((signal) => work({ signal, onProgress }), onStop)
  } finally {
    bar?.stop()
  }
}

/** @throws UserError for a name of another kind of file, and where what draws it is not installed; to be called before long work */
export function checkPicture(out: string | undefined): void {
  if (out === undefined) return
  if (!/\.(svg|png)$/i.test(out))
    throw new UserError(`--out ${out}: expected a picture's name, which ends in .svg or .png`)
  requirePackages('a picture needs', /\.png$/i.test(out) ? ['echarts', 'sharp'] : ['echarts'])
}

/** Writes a picture as its name says: the text of an SVG, or its pixels. */
export async function writePicture(out: string, svg: string): Promise<void> {
  if (!/\.png$/i.test(out)) return writeOutput(out, svg)
  // Loaded where it is needed: a native library.
  const { pngOf } = await import('../../driver/charts/png.js')
  await writeOutput(out, Buffer.from(await pngOf(svg)))
}
