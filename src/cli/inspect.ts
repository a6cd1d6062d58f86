// What rdm-fit tells of a model without training it: how its step is written on this machine, and where its time goes.

import { Batches } from '../data/batches.js'
import type { Dataset } from '../data/imageSet.js'
import type { FitConfig } from '../fit/config.js'
import type { FitEvent } from '../fit/events.js'
import { Feeds } from '../fit/feeds.js'
import type { TrainableModel } from '../model/trainable.js'
import { profileStep } from '../profile/profile.js'
import { formatProfile } from '../profile/table.js'
import { tuningFile } from '../tuning/cache.js'
import { type PlannedStep, planStep } from '../tuning/plan.js'
import { table } from './table.js'

export interface InspectOptions {
  readonly model: TrainableModel
  readonly config: FitConfig
  readonly json: boolean
  readonly signal: AbortSignal
  onEvent(event: FitEvent): void
}

const planFor = ({ model, config, signal, onEvent }: InspectOptions, batch: number): Promise<PlannedStep | undefined> =>
  planStep({
    model,
    batch,
    wanted: config.target,
    threads: config.threads,
    provider: config.provider,
    signal,
    onNotice: (message) => onEvent({ event: 'notice', message }),
    onProgress: (done, total) => onEvent({ event: 'tuning', done, total }),
  })

/** The target, and for each convolution the way that was chosen with what all of them took; undefined when stopped. */
export async function explain(options: InspectOptions): Promise<string | undefined> {
  const { batchSize } = options.config
  const planned = await planFor(options, batchSize)
  if (!planned) return undefined
  const { plan, timings } = planned
  const calls = [...timings].map(([call, { choice, ms }]) => ({ call, choice, ms }))
  if (options.json) return `${JSON.stringify({ event: 'explain', ...plan, batchSize, calls })}\n`
  if (plan.target === 'portable') return 'target portable: one way for every machine, nothing to choose\n'
  const others = (ms: Readonly<Record<string, number>>, choice: string) =>
    Object.entries(ms)
      .filter(([name]) => name !== choice)
      .sort(([, a], [, b]) => a - b)
      .map(([name, time]) => `${name} ${time.toFixed(2)}`)
      .join(', ')
  const rows = calls.map(({ call, choice, ms }) => [call, choice, ms[choice]?.toFixed(2) ?? '', others(ms, choice)])
  return (
    `target ort-cpu: blocks of ${plan.block} channels, batch ${batchSize}; timings are kept in ${tuningFile()}\n\n` +
    table([['call', 'way', 'ms', 'others, ms'], ...rows])
  )
}

/** Where the time of a step goes; undefined when stopped. */
export async function profile(options: InspectOptions, data: Dataset, steps: number): Promise<string | undefined> {
  const { model, config, signal } = options
  const { batchSize, seed, augment, threads, provider } = config
  const batches = new Batches(data.train, { batchSize, seed, augment })
  const feeds = new Feeds(model.signature, batches, config).of(0, 0)
  const planned = await planFor(options, feeds.images)
  if (!planned) return undefined
  const { models, optimize } = planned
  const result = await profileStep({
    model: models(feeds.images),
    feeds: { ...model.state, ...feeds.tensors },
    settings: { threads, provider, optimize },
    steps,
    // Forward once, and as much again for each of the two gradients.
    nominalFlops: 2 * 3 * feeds.images * model.multiplyAdds,
    signal,
  })
  if (!result) return undefined
  return options.json ? `${JSON.stringify({ event: 'profile', ...result })}\n` : formatProfile(result)
}
