// The model that was brought, what was chosen for it, and what is known of it.

import { batch, computed, effect, signal } from '@preact/signals'
import { messageOf, UserError } from '../../core/errors.js'
import { sizeText } from '../ui/files.js'
import { Work } from '../work/work.js'
import type { BroughtData } from './data.js'
import type { Derivation, Inspection } from './inspection.js'

export interface BroughtFile {
  readonly name: string
  readonly bytes: Uint8Array
}

/** What is chosen beside what the data say. */
export type Choices = Omit<Derivation, 'classes'> & {
  /** A fresh last layer for the classes of the data. */
  readonly freshHead: boolean
  /** The training step of the file; where it has one, unless said otherwise. */
  readonly ownStep?: boolean
}

const firstChoices: Choices = {
  shapes: {},
  loss: 'cross-entropy',
  train: 'last',
  lora: 0,
  batchNorm: 'frozen',
  optimizer: 'adamw',
  freshHead: true,
}

/** Bytes of a file that is read. */
const MOST = 2 ** 29
/** How long a file is looked at. */
const PATIENCE = 120_000
/** From a choice to a look at what it means. */
const PAUSE = 150

export const file = signal<BroughtFile | undefined>(undefined)
export const choices = signal<Choices>(firstChoices)
export const data = signal<BroughtData | undefined>(undefined)
/** Where the data come from. */
export type Source = 'files' | 'camera' | 'drawn'
export const source = signal<Source>('files')
export const inspection = signal<Inspection | undefined>(undefined)
export const isReading = signal(false)
/** Why there is no model, in a line. */
export const problem = signal<string | undefined>(undefined)

export const choose = (changes: Partial<Choices>): void => {
  choices.value = { ...choices.value, ...changes }
}

export const usesOwnStep = computed(() => inspection.value?.file.step !== undefined && choices.value.ownStep !== false)
const hasHead = computed(() => (inspection.value?.network?.last.length ?? 1) > 0)

/** The options of rdm-derive, as the data complete them. */
export const derivation = computed<Derivation>(() => {
  const { freshHead, ownStep: _, ...rest } = choices.value
  const classes = freshHead && hasHead.value ? data.value?.classes : undefined
  return { ...rest, ...(classes ? { classes } : {}) }
})

/** The bytes of a model file. @throws UserError for one that is too large */
export async function bytesOf(name: string, content: Blob): Promise<Uint8Array> {
  if (content.size > MOST)
    throw new UserError(`${name} has ${sizeText(content.size)}; a page reads models of up to ${sizeText(MOST)}`)
  return new Uint8Array(await content.arrayBuffer())
}

/** Takes a model. */
export function bring(next: BroughtFile, changes: Partial<Choices> = {}): void {
  batch(() => {
    file.value = next
    choices.value = { ...firstChoices, ...changes }
    inspection.value = undefined
    problem.value = undefined
  })
}

export async function bringFile(name: string, content: Blob): Promise<void> {
  newest++
  batch(() => {
    isReading.value = false
    file.value = undefined
    inspection.value = undefined
    problem.value = undefined
  })
  try {
    bring({ name, bytes: await bytesOf(name, content) })
  } catch (error) {
    problem.value = messageOf(error)
  }
}

export const work = new Work()

/** The look that counts: an older one tells nothing more. */
let newest = 0

/** Gives up the file that is looked at. */
export function giveUp(why = 'as you said'): void {
  newest++
  work.stop()
  isReading.value = false
  problem.value = `reading ${file.value?.name} was given up, ${why}; choose it again, or another file`
}

async function look({ name, bytes }: BroughtFile, chosen: Derivation): Promise<void> {
  const own = ++newest
  isReading.value = true
  const late = setTimeout(() => giveUp(`after ${PATIENCE / 1000} seconds`), PATIENCE)
  let found: Inspection | undefined
  let failure: string | undefined
  try {
    found = await work.ask('inspection', { bytes, choices: chosen })
  } catch (error) {
    failure = error instanceof UserError ? `${name}: ${error.message}` : `This page failed: ${messageOf(error)}`
  }
  clearTimeout(late)
  if (own !== newest) return
  batch(() => {
    inspection.value = found
    problem.value = failure
    isReading.value = false
  })
}

let asked = ''
/** Looks at the file again whenever something is chosen otherwise. */
export const follow = (): (() => void) =>
  effect(() => {
    const [brought, chosen] = [file.value, derivation.value]
    if (!brought) return
    // From now on: nothing begins by what was known before the choice.
    isReading.value = true
    const timer = setTimeout(() => void look(brought, chosen), asked === brought.name ? PAUSE : 0)
    asked = brought.name
    return () => clearTimeout(timer)
  })
