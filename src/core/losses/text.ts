// Losses by name, as command lines and plans say them: the registry.

import { fromText, z } from '../schemas.js'
import { type BinaryCrossEntropyOptions, binaryCrossEntropy } from './binaryCrossEntropy.js'
import { outputLoss, weightedSum } from './combined.js'
import { crossEntropy } from './crossEntropy.js'
import type { Loss } from './loss.js'
import { huber, meanAbsoluteError, meanSquaredError } from './regression.js'

/** A loss by its options; each is a number or a list of numbers. */
type Factory = (options: never) => Loss

interface Known {
  readonly make: Factory
  /** Names of its options, as they are written: `label-smoothing`. */
  readonly options: readonly string[]
}

export const losses: Readonly<Record<string, Known>> = {
  'cross-entropy': { make: crossEntropy, options: ['label-smoothing', 'ignore-index', 'class-weights', 'axis'] },
  'binary-cross-entropy': {
    make: binaryCrossEntropy satisfies (options: BinaryCrossEntropyOptions) => Loss,
    options: ['positive-weight'],
  },
  mse: { make: meanSquaredError, options: [] },
  l1: { make: meanAbsoluteError, options: [] },
  huber: { make: huber, options: ['delta'] },
}

const camelCase = (name: string): string => name.replace(/-[a-z]/g, (pair) => pair[1]!.toUpperCase())
const NUMBER = /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

type Report = (message: string) => undefined

function readOptions(
  text: string,
  name: string,
  { options }: Known,
  report: Report,
): Record<string, unknown> | undefined {
  const read: Record<string, unknown> = {}
  for (const part of text === '' ? [] : text.split(',')) {
    const [key = '', value] = part.split('=').map((piece) => piece.trim())
    const numbers = (value ?? '').split(';')
    const fits = numbers.length === 1 || key === 'class-weights'
    if (!options.includes(key) || !fits || !numbers.every((number) => NUMBER.test(number)))
      return report(
        `"${part}" is no option of the loss ${name}, which has ` +
          (options.length === 0 ? 'none: leave it out' : `${options.join(', ')}: write ${options[0]}=1`),
      )
    read[camelCase(key)] = key === 'class-weights' ? numbers.map(Number) : Number(value)
  }
  return read
}

interface Term {
  /** The output that it is said for, or the kind. */
  readonly name: string
  readonly kind: string
  readonly loss: Loss
  readonly weight: number
}

/** `[OUTPUT=]NAME[:option=value,…][*WEIGHT]` */
function readTerm(text: string, report: Report): Term | undefined {
  const [, output, name = '', options = '', weight = '1'] =
    /^(?:([^=:*]+)=)?\s*([a-z0-9-]+)\s*(?::([^*]*))?(?:\*\s*(.+))?$/s.exec(text) ?? []
  const isKnown = name === 'output' || Object.hasOwn(losses, name)
  if (!isKnown)
    return report(
      `there is no loss "${text}": write one of ${Object.keys(losses).join(', ')}, output:NAME, or the file of one (.onnx)`,
    )
  if (!NUMBER.test(weight)) return report(`"${weight}" is no weight of a loss: write a number, as in ${name}*0.5`)
  if (name === 'output') {
    const named = options.trim()
    return { name: named, kind: name, loss: outputLoss(named), weight: Number(weight) }
  }
  const known = losses[name]!
  const read = readOptions(options, name, known, report)
  if (!read) return undefined
  const own = output === undefined ? {} : { output: output.trim(), ...targetOf(name, output.trim()) }
  const make = known.make as (options: Record<string, unknown>) => Loss
  return { name: output?.trim() ?? name, kind: name, loss: make({ ...read, ...own }), weight: Number(weight) }
}

/** With several outputs each has a target of its own, called after it. */
const targetOf = (name: string, output: string): Record<string, string> =>
  name === 'cross-entropy' ? { labels: `${output}.labels` } : { targets: `${output}.targets` }

/**
 * Text to a loss: `cross-entropy:label-smoothing=0.1`, `huber:delta=2`, `output:loss`, or several of them, joined by `+`, each
 * for an output of its own: `class=cross-entropy + box=huber*0.5`.
 */
export const lossText: z.ZodMiniType<Loss, string> = fromText((text, refuse) => {
  let refused = false
  const report: Report = (message) => {
    refuse(message)
    refused = true
    return undefined
  }
  // A plus within a number, as in 1e+3, joins nothing.
  const terms = text.split(/(?<![\d.]e)\+/i).map((part) => readTerm(part.trim(), report))
  if (refused) return z.NEVER
  const read = terms as readonly Term[]
  if (read.length === 1 && read[0]!.weight === 1) return read[0]!.loss
  // An output may have several losses.
  const isShared = (name: string) => read.filter((term) => term.name === name).length > 1
  const named = new Map(
    read.map(({ name, kind, loss, weight }) => [isShared(name) ? `${name}.${kind}` : name, { loss, weight }]),
  )
  if (named.size === read.length) return weightedSum(Object.fromEntries(named))
  refuse(`"${text}" has a loss twice for one output: give it a weight instead`)
  return z.NEVER
})
