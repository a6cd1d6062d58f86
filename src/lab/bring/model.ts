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

/** Takes a model file. @throws UserError for one that is too large */
export function bring(next: BroughtFile, changes: Partial<Choices> = {}): void {
  batch(() => {
    file.value = next
    choices.value = { ...firstChoices, ...changes }
    inspection.value = undefined
    problem.value = undefined
  })
}

export async function bringFile(name: string, content: Blob): Promise<void> {
  batch(() => {
    file.value = undefined
    inspection.value = undefined
    problem.value = undefined
  })
  try {
    if (content.size > MOST)
      throw new UserError(`${name} has ${sizeText(content.size)}; a page reads models of up to ${sizeText(MOST)}`)
    bring({ name, bytes: new Uint8Array(await content.arrayBuffer()) })
  } catch (error) {
    problem.value = messageOf(error)
  }
}

export const work = new Work()

/** Gives up the file that is looked at. */
export const giveUp = (): void => work.stop()

async function look({ name, bytes }: BroughtFile, chosen: Derivation): Promise<void> {
  isReading.value = true
  let isLate = false
  const late = setTimeout(() => {
    isLate = true
    work.stop()
  }, PATIENCE)
  try {
    const found = await work.ask('inspection', { bytes, choices: chosen })
    if (found) inspection.value = found
    else if (isLate) problem.value = `${name} was given up after ${PATIENCE / 1000} seconds: it is too much for a page`
  } catch (error) {
    inspection.value = undefined
    problem.value = error instanceof UserError ? `${name}: ${error.message}` : `This page failed: ${messageOf(error)}`
  } finally {
    clearTimeout(late)
    isReading.value = false
  }
}

let asked = ''
/** Looks at the file again whenever something is chosen otherwise. */
export const follow = (): (() => void) =>
  effect(() => {
    const [brought, chosen] = [file.value, derivation.value]
    if (!brought) return
    const timer = setTimeout(() => void look(brought, chosen), asked === brought.name ? PAUSE : 0)
    asked = brought.name
    return () => clearTimeout(timer)
  })
