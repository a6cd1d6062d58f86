// A design: what the address bar carries, what the fields change, what the command line says. One form of it, the options of
// rdm-export, is read and written here.

import { z } from 'zod'
import { architectureFrom, kebab, type NetworkOptions } from '../../../graphs/describe.js'
import { pixelStatistics } from '../../../graphs/pixels.js'
import { type Architecture, convolutionsOf, depthOf } from '../../../graphs/residual.js'
import { zoo } from '../../../graphs/zoo.js'
import { describeIssues, UserError } from '../../core/errors.js'
import { decimalNumber, maskList, numberList, wholeNumber } from '../../study/text.js'

export type Pixels = keyof typeof pixelStatistics

/** All that the fields change. The name follows from it. */
export interface Design extends Omit<Architecture, 'name' | 'pixels'> {
  readonly pixels: Pixels
}

const options: { readonly [K in keyof Required<NetworkOptions>]: z.ZodType<NetworkOptions[K], string> } = {
  arch: z.string(),
  block: z.enum(['basic', 'bottleneck']),
  depth: wholeNumber(2, 100_000),
  blocks: numberList,
  r: wholeNumber(1, 1000),
  reluDrop: wholeNumber(0, 1000),
  functions: maskList,
  widths: numberList,
  classes: wholeNumber(2, 256),
  imageSize: wholeNumber(1, 1024),
  activation: z.enum(['pre', 'post']),
  shortcut: z.enum(['projection', 'padding']),
  stochasticDepth: decimalNumber(1e-6, 1),
  pixels: z.enum(Object.keys(pixelStatistics) as [Pixels]),
}
const keys = Object.keys(options) as (keyof NetworkOptions)[]

/**
 * Options from the part of an address behind its `?`; what is not an option of networks is left to others.
 * @throws UserError for a value that does not fit
 */
function optionsFrom(query: string): NetworkOptions {
  const given = new URLSearchParams(query)
  const found = keys.flatMap((key) => {
    const text = given.get(kebab(key))
    if (text === null) return []
    const read = options[key].safeParse(text)
    if (!read.success) throw new UserError(`${kebab(key)}=${text} in the address: ${describeIssues(read.error)}`)
    return [[key, read.data] as const]
  })
  return Object.fromEntries(found)
}

const pixelsByClasses = (classes: number): Pixels => (classes === 100 ? 'cifar100' : 'cifar10')

const designOf = ({ name: _, ...architecture }: Architecture, pixels?: Pixels): Design => ({
  ...architecture,
  pixels: pixels ?? pixelsByClasses(architecture.classes),
})

/** The design that the page begins with: the paper's own network. */
export const firstDesign: Design = designOf(architectureFrom({ arch: 'rdm56' }).architecture)

/** @throws UserError for what is no network */
export function designFrom(query: string): Design {
  const given = optionsFrom(query)
  if (Object.keys(given).length === 0) return firstDesign
  return designOf(architectureFrom(given, kebab).architecture, given.pixels)
}

/** What a network of the zoo is known by: all but the data that it is for. */
const kernelOf = ({ block, blocks, functions, widths, activation, shortcut, stochasticDepth }: Design | Architecture) =>
  JSON.stringify([block, blocks, functions, widths, activation, shortcut, stochasticDepth ?? null])
const named = new Map(zoo.map(({ architecture }) => [kernelOf(architecture), architecture.name]))

/** The zoo's name for it, if it has one. */
export const nameOf = (design: Design): string | undefined => named.get(kernelOf(design))

const isEven = (numbers: readonly number[]): boolean => numbers.every((each) => each === numbers[0])

/** The functions as one writes them: each mask, or for many of them how many there are and how many drop their first ReLUs. */
function functionsOf({ block, functions }: Design): NetworkOptions {
  const length = convolutionsOf({ block })
  const [full, dropped] = ['1'.repeat(length), `${'0'.repeat(length - 1)}1`]
  const kept = functions.filter((mask) => mask === full).length
  const isOrdered = functions.every((mask, i) => mask === (i < kept ? full : dropped))
  if (functions.length <= 4 || !isOrdered) return { functions }
  const reluDrop = functions.length - kept
  return { r: functions.length, ...(reluDrop > 0 ? { reluDrop } : {}) }
}

/** The fewest options that say the design; `architectureFrom` reads them back. */
export function optionsOf(design: Design): NetworkOptions {
  const { block, blocks, widths, classes, imageSize, activation, shortcut, stochasticDepth, pixels } = design
  const data = {
    ...(classes === firstDesign.classes ? {} : { classes }),
    ...(imageSize === firstDesign.imageSize ? {} : { imageSize }),
    ...(pixels === pixelsByClasses(classes) ? {} : { pixels }),
  }
  const arch = nameOf(design)
  if (arch !== undefined) return { arch, ...data }
  return {
    block,
    ...(isEven(blocks) ? { depth: depthOf(design) } : { blocks }),
    ...functionsOf(design),
    ...(widths.join() === firstDesign.widths.join() ? {} : { widths }),
    ...data,
    ...(activation === firstDesign.activation ? {} : { activation }),
    ...(shortcut === firstDesign.shortcut ? {} : { shortcut }),
    ...(stochasticDepth === undefined ? {} : { stochasticDepth }),
  }
}

const texts = (design: Design): readonly (readonly [string, string])[] =>
  Object.entries(optionsOf(design)).map(([key, value]) => [kebab(key), String(value)])

/** For the address, behind its `?`. */
export const queryOf = (design: Design): string =>
  texts(design)
    .map((pair) => pair.join('='))
    .join('&')

/** For a command line. */
export const flagsOf = (design: Design): readonly string[] =>
  texts(design).flatMap(([name, value]) => [`--${name}`, value])

/** @throws UserError for parts that do not go together */
export const architectureOf = (design: Design): Architecture =>
  architectureFrom(optionsOf(design), (key) => kebab(key).replace('-', ' ')).architecture

/** The design with other blocks: their masks keep what they can. */
export function withBlock(design: Design, block: Design['block']): Design {
  const length = convolutionsOf({ block })
  // The last ReLU stays the last; those before it are dropped where the first was.
  const functions = design.functions.map((mask) => mask[0]!.repeat(length - 1) + mask.at(-1))
  return { ...design, block, functions }
}

/** The design with a ReLU of a function put in or taken out. */
export function withRelu(design: Design, functionIndex: number, place: number): Design {
  const flip = (mask: string) => mask.slice(0, place) + (mask[place] === '1' ? '0' : '1') + mask.slice(place + 1)
  return { ...design, functions: design.functions.map((mask, i) => (i === functionIndex ? flip(mask) : mask)) }
}
