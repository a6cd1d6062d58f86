// How long training took, by model and machine.

import type { EpochTiming } from '../../driver/run/timing.js'
import type { ModelRecord } from './read.js'

/** A machine as it trained: one that trained with other threads or versions is another. */
export type Machine = Pick<EpochTiming, 'machine' | 'threads' | 'provider' | 'target' | 'versions'>

/** A model's epochs on one machine. */
export interface ModelTiming {
  /** Index of the machine. */
  readonly machine: number
  /** On record, of all its runs. */
  readonly epochs: number
  /** While training. */
  readonly imagesPerSecond: number
  /** Training of a whole epoch. */
  readonly epochMs: number
  /** Of the test set, once. */
  readonly evaluationMs: number
  /** Training and evaluation, of all its runs. */
  readonly totalMs: number
}

export interface Times {
  readonly machines: readonly Machine[]
  /** For each model, by machine. */
  readonly times: readonly (readonly ModelTiming[])[]
}

export function timesOf(models: readonly ModelRecord[]): Times {
  const machines = new Map<string, Machine>()
  const indexOf = ({ machine, threads, provider, target, versions }: EpochTiming): number => {
    const found: Machine = { machine, threads, provider, target, versions }
    const key = JSON.stringify(found)
    if (!machines.has(key)) machines.set(key, found)
    return [...machines.keys()].indexOf(key)
  }
  const times = models.map(({ runs }) => {
    const groups = new Map<number, EpochTiming[]>()
    for (const timing of runs.flatMap((run) => run.timing.epochs)) {
      const index = indexOf(timing)
      const group = groups.get(index)
      if (group) group.push(timing)
      else groups.set(index, [timing])
    }
    return [...groups].map(([machine, epochs]) => timingOf(machine, epochs))
  })
  return { machines: [...machines.values()], times }
}

function timingOf(machine: number, epochs: readonly EpochTiming[]): ModelTiming {
  const sum = (of: (timing: EpochTiming) => number) => epochs.reduce((total, timing) => total + of(timing), 0)
  const trainingMs = sum((timing) => timing.trainingMs)
  const evaluationMs = sum((timing) => timing.evaluationMs)
  // Lines that do not count their images may have a last batch that was smaller.
  const images = sum((timing) => timing.images ?? timing.steps * timing.batchSize)
  const wholeEpoch = epochs.reduce((most, { steps }) => Math.max(most, steps), 0)
  return {
    ...{ machine, epochs: epochs.length },
    imagesPerSecond: (1000 * images) / trainingMs,
    epochMs: (trainingMs / sum((timing) => timing.steps)) * wholeEpoch,
    evaluationMs: evaluationMs / epochs.length,
    totalMs: trainingMs + evaluationMs,
  }
}
