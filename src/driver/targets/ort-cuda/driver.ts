// Target `ort-cuda` to the driver: many steps a run, on a GPU or wherever a Loop runs.

import { z } from 'zod'
import { UserError } from '../../../core/errors.js'
import { type Tensor, tensor } from '../../../core/graph/tensor.js'
import { constant } from '../../../core/graph/value.js'
import { portable } from '../../../core/targets/portable/index.js'
import { fingerprint, TuningCache } from '../../planning/cache.js'
import { compareSteps } from '../../planning/compare.js'
import { countsOf, workOf } from '../counts.js'
import { type DriverTarget, type PlannedStep, type PlanOptions, precisions } from '../target.js'
import { ortCuda } from './index.js'
import { loopPredictor } from './predictor.js'
import { LOSS_SCALES, lossScaling, scalingState, stepNodes, trainingSteps } from './steps.js'

const planSchema = z.strictObject({ target: z.literal('ort-cuda') })
type CudaPlan = z.infer<typeof planSchema>

/** A loss scale for the comparison of one step: large enough for gradients of an average over a few examples. */
const COMPARISON_SCALE = 1024
/** 2^16, with which half precision begins, halved thirty times. */
const MIN_LOSS_SCALE = 2 ** -14

/**
 * On a GPU a model for each batch size, which stays open: cuDNN looks for its kernels anew where a shape changes, which for
 * RDM-83 on an H200 takes 4 s in float32 and 8 s in half precision, twice an epoch.
 */
function cudaSteps({ model, precision = 'fp32', provider }: PlanOptions): PlannedStep<CudaPlan> {
  const fixed = provider === 'cuda' && model.fixedBatch === undefined
  const stepsFor = (batch?: number) => trainingSteps(model.graph(batch), model.signature, { precision })
  const written = new Map<number | undefined, Uint8Array>()
  const models = (batch: number) => {
    const key = fixed ? batch : undefined
    const known = written.get(key)
    if (known) return known
    const { graph, signature } = stepsFor(key)
    const bytes = model.encode(graph, { signature })
    written.set(key, bytes)
    return bytes
  }
  const added = Object.entries(scalingState(precision)).map(([name, value]): [string, Tensor] => [
    name,
    tensor('float32', [], [value]),
  ])
  return {
    plan: { target: 'ort-cuda' },
    models,
    signature: stepsFor().signature,
    added: Object.fromEntries(added),
    inLoop: true,
    keepModels: fixed,
    optimize: true,
    timings: new Map(),
    predictor: (outputs, settings) => loopPredictor(model, outputs, settings),
    ...(precision === 'fp16' && {
      // Halved thirty times in a row, and the gradients of a loss this small still overflow.
      fault: ({ [LOSS_SCALES]: scale = 1 }) =>
        scale < MIN_LOSS_SCALE ? `the gradients overflow, whatever the loss is scaled by (${scale})` : undefined,
      skipped: (state) => Number(state[lossScaling.skipped]!.data[0]),
    }),
  }
}

export const ortCudaTarget: DriverTarget<CudaPlan> = {
  name: 'ort-cuda',
  about: 'many steps a run for a GPU',
  runtime: 'node',
  providers: ['cpu', 'cuda'],
  precisions,
  inLoop: true,
  fixesBatch: false,
  planSchema,

  async plan(options) {
    const { model, threads, provider = 'cpu', device = 0, precision = 'fp32', compare = compareSteps } = options
    const cache = await TuningCache.open({ provider, device }, options.cacheFile)
    const proof = fingerprint(model.fingerprint, 'ort-cuda', precision)
    if (!cache.isVerified(proof)) {
      const lossScale = precision === 'fp16' ? constant('float32', COMPARISON_SCALE) : undefined
      const few = model.fixedBatch ?? 16
      const candidate = model.step(ortCuda({ precision, lossScale }), few)
      const onCpu = { ...(threads === undefined ? {} : { threads }), optimize: false }
      const problem = await compare(model, model.step(portable, few), candidate, few, onCpu, {
        settings: provider === 'cpu' ? onCpu : { provider, device },
        coarse: precision === 'fp16' || provider !== 'cpu',
      })
      if (problem) throw new UserError(`its step by the ${provider} provider is not the portable step (${problem})`)
      cache.keepVerified(proof)
      await cache.save()
    }
    return cudaSteps(options)
  },

  async write({ model, precision = 'fp32' }) {
    const { graph, signature } = trainingSteps(model.graph(), model.signature, { precision })
    return model.encode(graph, { signature })
  },

  /** On a GPU a step takes as long as it has nodes. */
  explain(_, { model, precision = 'fp32', stepsPerRun }) {
    const operators = countsOf(stepNodes(trainingSteps(model.graph(), model.signature, { precision }).graph))
    const { nodes, kernels } = workOf(operators)
    return {
      json: { target: 'ort-cuda', precision, stepsPerRun, nodes, kernels, operators: Object.fromEntries(operators) },
      text:
        `target ort-cuda: up to ${stepsPerRun} steps a run, ${precision}; a step is ${nodes} nodes, of which ${kernels} are ` +
        'work for the device and the others give something another shape',
      table: [['operator', 'nodes a step'], ...operators.map(([name, count]) => [name, String(count)])],
    }
  },
}
