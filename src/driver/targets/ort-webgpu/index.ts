// Target `ort-webgpu`: ONNX Runtime's WebGPU provider, in Node and in a page. A node that it has no kernel for is computed by the
// CPU, with what it takes and gives crossing the bus; so a step is written in what it has, for one batch size, whose shapes are
// then numbers. How many steps become one run: steps.ts.

import { cse } from '../../../core/graph/cse.js'
import { numbersIn } from '../../../core/graph/dims.js'
import { fold } from '../../../core/graph/fold.js'
import { type Graph, graph } from '../../../core/graph/graph.js'
import { rewrite, rewriteOutputs } from '../../../core/graph/rewrite.js'
import { isFloat } from '../../../core/graph/tensor.js'
import { constant, type Node, nameOf, type Value } from '../../../core/graph/value.js'
import { Cast } from '../../../core/ops/index.js'
import { expandPrimitives, type Target } from '../../../core/targets/target.js'
import { keepActivations } from '../../../core/training/recompute.js'
import { webgpuKernels } from './kernels.js'
import { fromDevice, narrowed, onDevice } from './wholeNumbers.js'

/** A size that is a number, as a float. */
function knownSize(
  { operator, outputs: [y] }: Node,
  [x]: readonly (Value | undefined)[],
): readonly Value[] | undefined {
  const known = operator === Cast && isFloat(y!.dtype) && x && numbersIn(x)
  return known ? [constant(y!.dtype, known.data, known.shape)] : undefined
}

/** The graph in kernels that the provider has, its inputs in the types that it computes with. */
export const lowerNetwork = (source: Graph): Graph =>
  cse(narrowed(fromDevice(rewrite(fold(expandPrimitives(keepActivations(source), webgpuKernels)), knownSize))))

/** A lowered graph on these values for its inputs, by name; an input that is none of them stays one. */
export function applied(lowered: Graph, given: Readonly<Record<string, Value>>): ReadonlyMap<string, Value> {
  const leaves = new Map(
    lowered.inputs.flatMap((value) => {
      const name = nameOf(value)
      return Object.hasOwn(given, name) ? [[value, given[name]!] as const] : []
    }),
  )
  return rewriteOutputs(lowered, () => undefined, { leaves })
}

/** The target: one step, with the inputs and outputs that it has elsewhere. */
export const ortWebgpu: Target = {
  name: 'ort-webgpu',
  lower(source) {
    const given = Object.fromEntries(source.inputs.map((value) => [nameOf(value), onDevice(value)]))
    return graph(source.name, source.inputs, applied(lowerNetwork(source), given))
  },
}
