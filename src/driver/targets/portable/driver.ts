// Target `portable` to the driver: plain ONNX, for any runtime and provider.

import { z } from 'zod'
import { portable } from '../../../core/targets/portable/index.js'
import { providers } from '../../runtime/protocol.js'
import { symbolicStep } from '../symbolic.js'
import type { DriverTarget } from '../target.js'

const planSchema = z.strictObject({ target: z.literal('portable') })
type PortablePlan = z.infer<typeof planSchema>

export const portableTarget: DriverTarget<PortablePlan> = {
  name: 'portable',
  about: 'for any runtime',
  runtime: 'node',
  providers,
  precisions: ['fp32'],
  inLoop: false,
  fixesBatch: false,
  planSchema,
  plan: async ({ model }) => symbolicStep(model, portable, { target: 'portable' }),
  write: async ({ model }) => model.step(portable),

  explain: () => ({
    json: { target: 'portable' },
    text: 'target portable: one way for every machine, nothing to choose',
  }),
}
