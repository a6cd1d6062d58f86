// From the text of an option or of a plan's entry to its value.

import { z } from 'zod'
import type { Dim } from '../core/graph/shape.js'

/** Text of a whole number in [min, max], both included. */
export function wholeNumber(min: number, max: number): z.ZodType<number, string> {
  const error = `Expected a whole number from ${min} to ${max}`
  return z
    .string()
    .regex(/^-?\d{1,16}$/, { error, abort: true })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error })
}

/** Text of a decimal number in [min, max], both included; an exponent (1e-4) may follow. */
export function decimalNumber(min: number, max: number): z.ZodType<number, string> {
  const error = `Expected a number from ${min} to ${max}`
  return z
    .string()
    .regex(/^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i, { error, abort: true })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error })
}

/** Text of a seed of random streams; the same seed gives the same draws. */
export const seedNumber = wholeNumber(0, Number.MAX_SAFE_INTEGER)

/** Text like `9,9,9`. */
export const numberList = z
  .string()
  .regex(/^\d{1,6}(,\d{1,6})*$/, { error: 'Expected whole numbers with commas between them, such as 9,9,9' })
  .transform((text) => text.split(',').map(Number))
/** Text like `11,01`: a digit for each convolution of a residual function, 1 with a ReLU before it. */
export const maskList = z
  .string()
  .regex(/^[01]+(,[01]+)*$/, { error: 'Expected masks with commas between them, such as 11,01' })
  .transform((text) => text.split(','))

/** More folders than anybody means to have. */
const mostSeeds = 1000

/** Text like `1..5`, `1,2,7` or `1..3,9` to seeds, rising. */
export const seedList: z.ZodType<readonly number[], string> = z.string().transform((text, context) => {
  const fail = (reason: string): never => {
    context.addIssue(reason)
    return z.NEVER
  }
  const seeds = new Set<number>()
  for (const part of text.split(',')) {
    const match = /^\s*(\d{1,15})\s*(?:\.\.\s*(\d{1,15})\s*)?$/.exec(part)
    if (!match) return fail(`"${part}" is no seed and no range of seeds: write whole numbers, as in 1..5 or 1,2,7`)
    const [first, last] = [Number(match[1]), Number(match[2] ?? match[1])]
    if (last < first) return fail(`the range ${part} ends before it begins: write ${last}..${first}`)
    if (last - first >= mostSeeds) return fail(`${part} are more than ${mostSeeds} runs: give fewer seeds`)
    for (let seed = first; seed <= last; seed++) {
      if (seeds.has(seed)) return fail(`the seed ${seed} is there twice: expected each once`)
      seeds.add(seed)
    }
  }
  return seeds.size > mostSeeds
    ? fail(`${text} are more than ${mostSeeds} runs: give fewer seeds`)
    : [...seeds].sort((a, b) => a - b)
})

/** Text like `image=batch,3,224,224`. */
export const namedShape: z.ZodType<readonly [string, readonly Dim[]], string> = z
  .string()
  .transform((text, context) => {
    const [, name, sizes] = /^(.+)=([^=]+)$/.exec(text) ?? []
    const dims = sizes?.split(',').map((size) => size.trim())
    if (name !== undefined && dims?.every((size) => /^([1-9]\d*|[A-Za-z_]\w*)$/.test(size)))
      return [name, dims.map((size) => (/^\d/.test(size) ? Number(size) : size))] as const
    context.addIssue(`"${text}" is no shape of an input: write NAME=SIZE,SIZE,…, as in image=batch,3,224,224`)
    return z.NEVER
  })
