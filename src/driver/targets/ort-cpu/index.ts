// Target `ort-cpu`: ONNX Runtime's CPU provider at the machine's speed. The step gets fixed shapes; activations stay in
// blocks of channels from the first convolution to the pooling, ReLUs and residual sums go into the convolutions before
// them, and transposes into the products after them. Everything else stays the plain ONNX that it is. Figures: bench/README.md.

import { cse } from '../../../core/graph/cse.js'
import type { Target } from '../../../core/targets/target.js'
import type { Choose } from './candidates.js'
import { evenRanks } from './evenRanks.js'
import { fused } from './fuse.js'
import { inBlocks } from './inBlocks.js'
import { withoutBools } from './masks.js'
import { nchwc } from './nchwc.js'
import { aroundProducts } from './products.js'
import { intoSums } from './scatters.js'
import { productsOfAllRows } from './sums.js'

/** The machine that {@link ortCpu} writes a step for. */
export interface CpuOptions {
  /** Channels in a block on the machine that will run the step: 8 with AVX2, 16 with AVX-512. */
  readonly block: number
  /** Picks among the candidates for a convolution and its gradients; the first that fits unless given. */
  readonly choose?: Choose
}

/** The target for a machine. The graphs that it lowers have known shapes. */
export const ortCpu = ({ block, choose = () => undefined }: CpuOptions): Target => ({
  name: 'ort-cpu',
  lower(graph) {
    const blocked = fused(inBlocks(withoutBools(graph), nchwc(block), choose), nchwc(block))
    return evenRanks(intoSums(productsOfAllRows(aroundProducts(cse(blocked)))))
  },
})
