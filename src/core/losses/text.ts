// Losses by name, as command lines and plans say them: the registry.

import { z } from 'zod'
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
  'cross-entropy': { make: crossEntropy, options: ['label-smoothing', 'ignore-index', 'class-weights'] },
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
    if (!options.includes(key) || !numbers.every((number) => NUMBER.test(number)))
      return report(
        `"${part}" is no option of the loss ${name}, which has ${options.join(', ') || 'none'}: write ${options[0] ?? 'none'}=1`,
      )
    read[camelCase(key)] = key === 'class-weights' ? numbers.map(Number) : Number(value)
  }
  return read
}

/** `[OUTPUT=]NAME[:option=value,…][*WEIGHT]` */
function readTerm(
  text: string,
  report: Report,
): { readonly name: string; readonly loss: Loss; readonly weight: number } | undefined {
  const [, output, name = '', options = '', weight = '1'] =
    /^\s*(?:([^=:*]+)=)?([a-z0-9-]+)(?::([^*]*))?(?:\*(.+))?$/s.exec(text) ?? []
  if (name === 'output') return { name: options, loss: outputLoss(options), weight: Number(weight) }
  if (!Object.hasOwn(losses, name))
    return report(
      `there is no loss "${text}": write one of ${Object.keys(losses).join(', ')}, output:NAME, or the file of one (.onnx)`,
    )
  if (!NUMBER.test(weight)) return report(`"${weight}" is no weight of a loss: write a number, as in ${name}*0.5`)
  const known = losses[name]!
  const read = readOptions(options, name, known, report)
  if (!read) return undefined
  const own = output === undefined ? {} : { output: output.trim(), ...targetOf(name, output.trim()) }
  const make = known.make as (options: Record<string, unknown>) => Loss
  return { name: output?.trim() ?? name, loss: make({ ...read, ...own }), weight: Number(weight) }
}

/** With several outputs each has a target of its own, called after it. */
const targetOf = (name: string, output: string): Record<string, string> =>
  name === 'cross-entropy' ? { labels: `${output}.labels` } : { targets: `${output}.targets` }

/**
 * Text to a loss: `cross-entropy:label-smoothing=0.1`, `huber:delta=2`, `output:loss`, or several of them, joined by `+`, each
 * for an output of its own: `class=cross-entropy + box=huber*0.5`.
 */
export const lossText: z.ZodType<Loss, string> = z.string().transform((text, context) => {
  let refused = false
  const report: Report = (message) => {
    context.addIssue(message)
    refused = true
    return undefined
  }
  const terms = text.split('+').map((part) => readTerm(part, report))
  if (refused) return z.NEVER
  const [first, ...more] = terms as NonNullable<(typeof terms)[number]>[]
  if (more.length === 0 && first!.weight === 1) return first!.loss
  return weightedSum(Object.fromEntries([first!, ...more].map(({ name, loss, weight }) => [name, { loss, weight }])))
})
