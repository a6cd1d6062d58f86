// The gradient that arrives along one path: forward through the whole network, backward only through the chosen edges
// (Veit et al. 2016, "Residual Networks Behave Like Ensembles of Relatively Shallow Networks", section 5.2).

import type { BlockNetwork } from '../../../graphs/blocks.js'
import { gradients } from '../../core/autodiff/gradients.js'
import { type Graph, graph } from '../../core/graph/graph.js'
import { input, type Value } from '../../core/graph/value.js'
import { add, cast, mul, size, slice, softmaxCrossEntropy } from '../../core/ops/index.js'

/** Names in the graph of `pathGradient`. */
export const pathNames = { labels: 'labels', edges: 'edges', logits: 'logits', gradient: 'gradient' } as const

/** Edges of each block: the shortcut, then its functions. */
export const edgesOf = ({ blocks }: BlockNetwork): number => 1 + blocks[0]!.functions.length

/**
 * The gradient of each image's cross-entropy at its normalised pixels, backward through those edges alone that are open.
 * One edge of each block makes a path. The gradients of all paths add up to the whole gradient, which comes with all edges
 * open: the backward pass is linear. Batch norms keep their running statistics, so no image sees another.
 *
 * Inputs: the network's, `labels` int64 [batch], `edges` float32 [batch, blocks · edges, 1, 1], block by block, 1 for an
 * edge that is open. Outputs: `gradient` float32 [batch, channels, height, width], `logits`.
 */
export function pathGradient(network: BlockNetwork): Graph {
  const { pixels, blocks } = network
  const logits = network.graph.outputs.get('logits')!
  const [batch] = logits.shape
  const labels = input(pathNames.labels, 'int64', [batch!])
  const perBlock = edgesOf(network)
  const open = input(pathNames.edges, 'float32', [batch!, blocks.length * perBlock, 1, 1])
  const [mean] = softmaxCrossEntropy(logits, labels)
  const loss = mul(mean, cast(size(labels), 'float32'))
  // What arrives at the output of a block, then at its input.
  let [arriving] = gradients(loss, [blocks.at(-1)!.output]) as [Value]
  for (const [index, block] of [...blocks.entries()].reverse()) {
    const [atSum] = gradients(block.output, [block.sum], { seed: arriving }) as [Value]
    arriving = [block.shortcut, ...block.functions]
      .map((edge, i) => {
        const column = index * perBlock + i
        const gated = mul(atSum, slice(open, [1], [column], [column + 1]))
        const scaled = i === 0 || block.survival === 1 ? gated : mul(gated, block.survival)
        return gradients(edge, [block.input], { seed: scaled })[0]!
      })
      .reduce(add)
  }
  const [gradient] = gradients(blocks[0]!.input, [pixels], { seed: arriving }) as [Value]
  return graph(`${network.graph.name}.paths`, [...network.graph.inputs, labels, open], {
    [pathNames.gradient]: gradient,
    [pathNames.logits]: logits,
  })
}
