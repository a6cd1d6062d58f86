// Target `ort-webgpu` to the driver: several steps a run, on any GPU.

import { z } from 'zod'
import { UserError } from '../../../core/errors.js'
import { portable } from '../../../core/targets/portable/index.js'
import { fingerprint, TuningCache } from '../../planning/cache.js'
import { compareSteps } from '../../planning/compare.js'
import { countsOf, workOf } from '../counts.js'
import type { DriverTarget } from '../target.js'
import { ortWebgpu } from './index.js'
import { type WebgpuPlan, webgpuSteps } from './planned.js'
import { packedStep, vectorsOf } from './steps.js'

const planSchema: z.ZodType<WebgpuPlan> = z.strictObject({ target: z.literal('ort-webgpu') })

export const ortWebgpuTarget: DriverTarget<WebgpuPlan> = {
  name: 'ort-webgpu',
  about: 'for any GPU, by WebGPU',
  runtime: 'node',
  providers: ['cpu', 'webgpu'],
  precisions: ['fp32'],
  inLoop: true,
  fixesBatch: true,
  planSchema,

  async plan(options) {
    const { model, threads, provider = 'cpu', compare = compareSteps } = options
    const cache = await TuningCache.open({ provider, device: 0 }, options.cacheFile)
    const proof = fingerprint(model.fingerprint, 'ort-webgpu')
    if (!cache.isVerified(proof)) {
      const few = model.fixedBatch ?? 16
      const onCpu = { ...(threads === undefined ? {} : { threads }), optimize: false }
      const problem = await compare(model, model.step(portable, few), model.step(ortWebgpu, few), few, onCpu, {
        settings: provider === 'cpu' ? onCpu : { provider },
        coarse: false,
      })
      if (problem) throw new UserError(`its step by the ${provider} provider is not the portable step (${problem})`)
      cache.keepVerified(proof)
      await cache.save()
    }
    return webgpuSteps(options)
  },

  write: async ({ model, batch }) => model.step(ortWebgpu, batch),

  /** On a GPU a step takes as long as it has nodes. */
  explain({ stepsPerRun }, { model, batch }) {
    const step = packedStep(model.graph(batch), model.signature)
    const operators = countsOf(step.graph.nodes)
    const { nodes, kernels } = workOf(operators)
    const tensors = vectorsOf(step).length
    return {
      json: {
        ...{ target: 'ort-webgpu', batch, stepsPerRun, nodes, kernels, packs: step.packs.length, tensors },
        operators: Object.fromEntries(operators),
      },
      text:
        `target ort-webgpu: batches of ${batch}, ${stepsPerRun} steps a run one after the other; a step is ${nodes} nodes, of which ` +
        `${kernels} are work for the device; the state crosses the bus in ${tensors} tensor${tensors === 1 ? '' : 's'} a run`,
      table: [['operator', 'nodes a step'], ...operators.map(([name, count]) => [name, String(count)])],
    }
  },
}
