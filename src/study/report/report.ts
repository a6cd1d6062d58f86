// The report as data: the figures of its tables and charts, made of what the folders hold.

import { type PaperResult, paperData, paperRowOf } from '../../../graphs/table1.js'
import type { EpochMetrics } from '../../driver/run/metrics.js'
import { type Spread, spreadOf } from '../../driver/seeds/statistics.js'
import { type NetworkFacts, networkFacts } from './network.js'
import type { ModelRecord, Records, RunRecord } from './read.js'
import { remarksOf, standingOf } from './remarks.js'
import { type Setting, settingsOf } from './settings.js'
import { type Machine, type ModelTiming, timesOf } from './times.js'

export interface Report {
  readonly title: string
  /** How many of all runs have finished, and what the others do. */
  readonly standing: string
  /** A row of Table 1 and a curve of Figure 2 for each. */
  readonly models: readonly ModelReport[]
  /** Where the models were trained. */
  readonly machines: readonly Machine[]
  readonly settings: readonly Setting[]
}

export interface ModelReport {
  readonly name: string
  /** Undefined where the model's file does not say what its network is. */
  readonly network?: NetworkFacts | undefined
  /** The paper's figures, in per cent; undefined for a network that is not in its table. */
  readonly paper?: PaperResult | undefined
  /** Test errors after the last epoch of the runs that have finished, fractions; null before there is one. */
  readonly testError: Spread | null
  /** How many have. */
  readonly finished: number
  /** Our median less the paper's error, in percentage points; undefined where there is nothing to compare. */
  readonly difference?: number | undefined
  /** What is otherwise than in the paper, and what is not there yet, a sentence each. */
  readonly remarks: readonly string[]
  /** Epochs that its runs are to have. */
  readonly epochs: number
  readonly curve: readonly EpochSpread[]
  readonly runs: readonly RunRecord[]
  readonly times: readonly ModelTiming[]
}

/** Test error after an epoch, over the runs that have it. */
export interface EpochSpread {
  /** From 1. */
  readonly epoch: number
  readonly runs: number
  /** Fractions. */
  readonly mean: number
  /** Of the sample; null for a single run. */
  readonly std: number | null
}

export function reportOf({ title, models }: Records): Report {
  const { machines, times } = timesOf(models)
  return {
    title,
    standing: standingOf(models.flatMap(({ runs }) => runs)),
    models: models.map((model, i) => modelReport(model, times[i]!)),
    machines,
    settings: settingsOf(models),
  }
}

function modelReport(model: ModelRecord, times: readonly ModelTiming[]): ModelReport {
  const { name, architecture, config, data, runs } = model
  const row = architecture && paperRowOf(architecture)
  const finished = runs.filter(({ state }) => state === 'done')
  const testError = spreadOf(finished.flatMap(({ history }) => history.at(-1)?.testError ?? []))
  const comparable = row && testError && data.sha256 === paperData
  return {
    name,
    network: architecture && networkFacts(architecture),
    paper: row?.result,
    testError,
    finished: finished.length,
    difference: comparable ? 100 * testError.median - row.result.error : undefined,
    remarks: remarksOf(model, row),
    epochs: config.epochs,
    curve: curveOf(runs.map(({ history }) => history)),
    runs,
    times,
  }
}

export function curveOf(histories: readonly (readonly EpochMetrics[])[]): readonly EpochSpread[] {
  const longest = Math.max(0, ...histories.map(({ length }) => length))
  return Array.from({ length: longest }, (_, epoch) => {
    const errors = histories.flatMap((history) => history[epoch]?.testError ?? [])
    const { mean, std } = spreadOf(errors)!
    return { epoch: epoch + 1, runs: errors.length, mean, std }
  })
}
