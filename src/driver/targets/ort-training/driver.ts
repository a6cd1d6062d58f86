// Target `ort-training` to the driver: the training build of onnxruntime-web.

import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { UserError } from '../../../core/errors.js'
import { portable } from '../../../core/targets/portable/index.js'
import { fingerprint, TuningCache } from '../../planning/cache.js'
import { compareSteps } from '../../planning/compare.js'
import { countsOf } from '../counts.js'
import { symbolicStep } from '../symbolic.js'
import type { DriverTarget } from '../target.js'
import { ortTraining } from './index.js'
import { KERNEL_DOMAIN } from './kernels.js'

const planSchema = z.strictObject({ target: z.literal('ort-training') })

export const ortTrainingTarget: DriverTarget<z.infer<typeof planSchema>> = {
  name: 'ort-training',
  about: "with the kernels of ONNX Runtime's training builds",
  runtime: 'web-training',
  providers: ['cpu'],
  precisions: ['fp32'],
  inLoop: false,
  fixesBatch: false,
  planSchema,

  async plan({ model, threads = availableParallelism(), compare = compareSteps, cacheFile }) {
    const settings = { runtime: 'web-training', threads } as const
    const planned = symbolicStep(model, ortTraining, { target: 'ort-training' as const })
    const cache = await TuningCache.open(settings, cacheFile)
    const proof = fingerprint(model.fingerprint, 'ort-training')
    if (!cache.isVerified(proof)) {
      const few = model.fixedBatch ?? 16
      const problem = await compare(model, model.step(portable), planned.models(few), few, settings)
      if (problem) throw new UserError(`its step is not the portable step (${problem})`)
      cache.keepVerified(proof)
      await cache.save()
    }
    return planned
  },

  write: async ({ model }) => model.step(ortTraining),

  explain(_, { model }) {
    const { nodes } = ortTraining.lower(model.graph())
    const kernels = countsOf(nodes.filter(({ operator }) => operator.domain === KERNEL_DOMAIN))
    return {
      json: { target: 'ort-training', nodes: nodes.length, kernels: Object.fromEntries(kernels) },
      text:
        `target ort-training: one way for every machine, nothing to choose; of ${nodes.length} nodes of a step these are ` +
        'kernels of the training build',
      table: [['kernel', 'nodes a step'], ...kernels.map(([name, count]) => [name, String(count)])],
    }
  },
}
