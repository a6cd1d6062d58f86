// What rdm-fit tells of a model without training it: how its step is written on this machine, and where its time goes.

import { UserError } from '../core/errors.js'
import type { Graph } from '../core/graph/graph.js'
import type { TrainableModel } from '../core/model/trainable.js'
import { Batches } from '../driver/data/batches.js'
import type { Dataset, ImageSet } from '../driver/data/imageSet.js'
import { type FitConfig, stepsPerRunOf } from '../driver/fit/config.js'
import type { FitEvent } from '../driver/fit/events.js'
import { datasetOf, Feeds, stateOf } from '../driver/fit/feeds.js'
import { table } from '../driver/format/table.js'
import { tuningFile } from '../driver/planning/cache.js'
import { type PlannedStep, planStep } from '../driver/planning/plan.js'
import { profileStep } from '../driver/profile/profile.js'
import { formatProfile } from '../driver/profile/table.js'
import { stepNodes, trainingSteps } from '../driver/targets/ort-cuda/steps.js'
import { ortTraining } from '../driver/targets/ort-training/index.js'
import { KERNEL_DOMAIN } from '../driver/targets/ort-training/kernels.js'

export interface InspectOptions {
  readonly model: TrainableModel
  readonly config: FitConfig
  readonly json: boolean
  readonly signal: AbortSignal
  onEvent(event: FitEvent): void
}

const planFor = (
  { model, config, signal, onEvent }: InspectOptions,
  batch: number,
  set?: ImageSet,
): Promise<PlannedStep | undefined> =>
  planStep({
    model,
    batch,
    wanted: config.target,
    precision: config.precision,
    ...(set ? { data: datasetOf(model, set) } : {}),
    threads: config.threads,
    runtime: config.runtime,
    provider: config.provider,
    device: config.device,
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
  if (plan.target === 'ort-cuda') return explainLoop(options)
  if (plan.target === 'ort-training') return explainKernels(options)
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

/** One way for every machine: how many nodes are kernels of the training build. */
function explainKernels({ model, json }: InspectOptions): string {
  const { nodes } = ortTraining.lower(model.graph())
  const kernels = countsOf(nodes.filter(({ operator }) => operator.domain === KERNEL_DOMAIN))
  if (json)
    return `${JSON.stringify({ event: 'explain', target: 'ort-training', nodes: nodes.length, kernels: Object.fromEntries(kernels) })}\n`
  return (
    `target ort-training: one way for every machine, nothing to choose; of ${nodes.length} nodes of a step these are ` +
    'kernels of the training build\n\n' +
    table([['kernel', 'nodes a step'], ...kernels.map(([name, count]) => [name, String(count)])])
  )
}

/** How many nodes of each operator there are, the most first. */
function countsOf(nodes: Graph['nodes']): [string, number][] {
  const counts = new Map<string, number>()
  for (const { operator } of nodes) counts.set(operator.name, (counts.get(operator.name) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a)
}

/** Operators that give the same bytes another shape: no work on any device. */
const views = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Identity'])

/** On a GPU a step takes as long as it has nodes. */
function explainLoop({ model, config, json }: InspectOptions): string {
  const { precision } = config
  const { graph } = trainingSteps(model.graph(), model.signature, model.carried, { precision })
  const operators = countsOf(stepNodes(graph))
  const total = operators.reduce((sum, [, count]) => sum + count, 0)
  const moving = operators.reduce((sum, [name, count]) => sum + (views.has(name) ? 0 : count), 0)
  const stepsPerRun = stepsPerRunOf(config)
  if (json)
    return `${JSON.stringify({ event: 'explain', target: 'ort-cuda', precision, stepsPerRun, nodes: total, kernels: moving, operators: Object.fromEntries(operators) })}\n`
  return (
    `target ort-cuda: up to ${stepsPerRun} steps a run, ${precision}; a step is ${total} nodes, of which ${moving} are work for ` +
    'the device and the others give something another shape\n\n' +
    table([['operator', 'nodes a step'], ...operators.map(([name, count]) => [name, String(count)])])
  )
}

/** Where the time of a step goes; undefined when stopped. */
export async function profile(options: InspectOptions, data: Dataset, steps: number): Promise<string | undefined> {
  const { model, config, signal } = options
  const { batchSize, seed, augment, threads, runtime, provider, device } = config
  if (runtime !== 'node')
    throw new UserError(
      `--profile reads what ONNX Runtime's profiler writes, and --runtime ${runtime} has none: leave out one of them`,
    )
  const batches = new Batches(data.train, { batchSize, seed, augment })
  const planned = await planFor(options, batches.sizeOf(0), data.train)
  if (!planned) return undefined
  const { models, optimize, inLoop } = planned
  const feeds = new Feeds(model.signature, batches, config, inLoop ? 1 : undefined).of(0, 0)
  const result = await profileStep({
    model: models(feeds.images),
    feeds: { ...stateOf(model, config), ...feeds.tensors },
    settings: { threads, provider, device, optimize },
    steps,
    // Forward once, and as much again for each of the two gradients.
    nominalFlops: 2 * 3 * feeds.images * model.multiplyAdds,
    signal,
  })
  if (!result) return undefined
  return options.json ? `${JSON.stringify({ event: 'profile', ...result })}\n` : formatProfile(result)
}
