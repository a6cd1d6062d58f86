// Floating-point operations of a node, from the shapes that it met: 2 for each multiply-add.
import type { Graph } from '../../core/graph/graph.js'
import { multiplyAdds } from '../../core/model/cost.js'

type Shapes = readonly (readonly number[])[]
type Rule = (inputs: Shapes, outputs: Shapes) => number

const product = (shape: readonly number[]): number => shape.reduce((size, dim) => size * dim, 1)

/** Each output element takes a whole filter [channels / group, kh, kw]. */
const convolution: Rule = ([, filter], [y]) => product(y!) * product(filter!.slice(1))

/** Each input element meets a whole filter [output channels / group, kh, kw]. */
const transposed: Rule = ([x, filter]) => product(x!) * product(filter!.slice(1))

/** The inner dimension is what A [M, K] has beside M, whether it is transposed or not. */
const matrices: Rule = ([a, b], [y]) => {
  if (a!.length === 1) return product(y!) * a![0]!
  if (b!.length === 1) return product(y!) * b![0]!
  return (product(y!) * product(a!.slice(-2))) / y!.at(-2)!
}

const rules: Readonly<Record<string, Rule>> = {
  Conv: convolution,
  FusedConv: convolution,
  ConvTranspose: transposed,
  MatMul: matrices,
  FusedMatMul: matrices,
  Gemm: matrices,
  FusedGemm: matrices,
}

/** What convolutions and matrix products compute, counted as they are written; 0 for others, and without shapes. */
export function flopsOf(operator: string, inputs: Shapes, outputs: Shapes): number {
  const rule = Object.hasOwn(rules, operator) ? rules[operator] : undefined
  if (!rule || inputs.length < 2 || outputs.length < 1) return 0
  const flops = 2 * rule(inputs, outputs)
  return Number.isFinite(flops) ? flops : 0
}

/**
 * What a training step of so many images costs by the usual count, in floating-point operations, two to a multiply-add: those of
 * the network forward, as much again for the gradient of the activations, as much again for that of the weights.
 */
export const nominalFlops = (inference: Graph, images: number): number => 2 * 3 * images * multiplyAdds(inference)
