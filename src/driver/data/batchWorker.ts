// The thread that makes batches: gathers, decodes and augments while another thread computes.
import type { Tensors } from '../../core/graph/tensor.js'
import { memoryOf } from '../runtime/tensor.js'
import { serve } from '../threads/serve.js'
import type { Replies, Request } from './batchProtocol.js'
import { Batches } from './fileBatches.js'

let batches: Batches | undefined

serve<Request, Replies>(
  async (request) => {
    if (request.kind === 'open') {
      batches = new Batches(request.split, request.bindings, request.options)
      return undefined
    }
    if (!batches) throw new Error('no data set is open')
    const { epoch, step, steps } = request
    return steps === undefined ? batches.batch(epoch, step) : batches.stack(epoch, step, steps)
  },
  (request, value) => (request.kind === 'batch' ? memoryOf(value as Tensors) : []),
)
