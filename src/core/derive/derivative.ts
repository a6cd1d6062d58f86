// From a network that others wrote to a file of its derivatives.

import { type Seeds, vectorJacobian } from '../autodiff/gradients.js'
import { hessianVector, jacobianVector } from '../autodiff/products.js'
import { UserError } from '../errors.js'
import { type Graph, graph } from '../graph/graph.js'
import { isStatic } from '../graph/shape.js'
import { formatType, type GraphError, input, nameOf, type Value } from '../graph/value.js'
import { encodeModel } from '../onnx/tensors.js'
import { writeModel } from '../onnx/write.js'
import { fillAs } from '../ops/index.js'
import type { PortableLevel } from '../targets/portable/basic.js'
import { targetAt } from '../targets/portable/opset.js'
import { expandBody, expandPrimitives, expandStandard } from '../targets/target.js'
import { casadiGraph } from './casadi.js'
import { type Choice, chosen, type Derivation, type Named, namerFor, type Product } from './derivation.js'

/** `named`: the network's inputs and outputs, and what is added; `casadi`: as CasADi finds derivatives beside an ONNX file. */
export const layouts = ['named', 'casadi'] as const
/** How the inputs and outputs of a derivative's file are called: `named` or `casadi`. */
export type Layout = (typeof layouts)[number]

/** Which derivative {@link derivativeGraph} writes: of which outputs, by which inputs, weights or inner values. */
export interface DerivativeOptions extends Choice {
  /** `vjp` unless given. */
  readonly product?: Product | undefined
  /** No seeds are fed: each output is summed over all its numbers. */
  readonly sum?: boolean | undefined
  /** `named` unless given. */
  readonly layout?: Layout | undefined
}

/**
 * A graph of derivatives of a network. It has the network's inputs, then, in `named` layout,
 * - vjp: `seed.Y`, the gradient at each Y of `of` that is no scalar; its outputs are the network's, then `grad.X` for each X of `wrt`,
 *   Σ seedᵀ · dY/dX, of X's type;
 * - jvp: `tangent.X` for each X; its outputs are the network's, then `tangent.Y`, Σ dY/dX · tangent;
 * - hvp: the seeds and the tangents; its outputs are the network's, then `grad.X`, and `hvp.X`, the Hessian of Σ seed · Y by all X, times
 *   the tangents.
 *
 * A scalar has the seed 1, and so has everything with `sum`. A name that the network has already gets a number (`seed.Y_2`).
 * @param network as `readNetwork` gives it
 * @throws UserError for names that are not there, for what is no float, where no X leads to any Y, and, all at once, for what has no
 * derivative
 */
export function derivativeGraph(network: Graph, options: DerivativeOptions = {}): Graph {
  const { product = 'vjp', sum = false, layout = 'named' } = options
  if (sum && (product === 'jvp' || layout === 'casadi'))
    throw new UserError(
      'sum takes the place of seeds, which forward mode does not have and CasADi always feeds: leave out sum',
    )
  const { of, wrt } = chosen(network, options)
  const obstacles = new Set<string>()
  const derivation = { network, of, wrt, product, refused: ({ message }: GraphError) => void obstacles.add(message) }
  const derived = layout === 'casadi' ? casadiGraph(derivation) : namedGraph(derivation, sum)
  if (obstacles.size > 0) throw new UserError(`${told([...obstacles])}${openSizes(network)}`)
  return derived
}

/** How {@link exportDerivative} writes its file. */
export interface ExportDerivativeOptions extends DerivativeOptions {
  /** Write function bodies in place, for runtimes without local functions. */
  readonly inline?: boolean | undefined
  /** Which operators it is written in (`standard` unless given). */
  readonly level?: PortableLevel | undefined
  /** The version of ONNX's operators, 13 to 21; unless given 18, or an older one that the graph's operators need. */
  readonly opset?: number | undefined
}

/**
 * An ONNX file of `derivativeGraph`, with the network's weights.
 * @throws UserError as `derivativeGraph`, and for an opset that is not written
 */
export function exportDerivative(network: Graph, options: ExportDerivativeOptions = {}): Uint8Array {
  const { inline = false, level = 'standard', opset, ...rest } = options
  const target = targetAt(level, opset)
  const derived = derivativeGraph(network, rest)
  const written = (inline ? expandPrimitives : expandStandard)(derived, target)
  return encodeModel(
    writeModel(
      { graph: written, weights: new Map(), opset },
      inline ? undefined : (node, inputs) => expandBody(target, node, inputs),
    ),
  )
}

/** Of several things in the way so many are told. */
const MOST = 4

function told(obstacles: readonly string[]): string {
  if (obstacles.length === 1) return obstacles[0]!
  const rest = obstacles.length - MOST
  const more = rest > 0 ? `; and ${rest} more` : ''
  return `${obstacles.length} things stand in the way: ${obstacles.slice(0, MOST).join('; ')}${more}`
}

/** What may help where an operator needs sizes that only a run knows. */
function openSizes({ inputs }: Graph): string {
  const open = inputs.filter(({ shape }) => !isStatic(shape)).map((value) => `'${nameOf(value)}' ${formatType(value)}`)
  return open.length === 0 ? '' : `; sizes left open by ${open.join(', ')} can be said (--shape NAME=SIZE,SIZE,…)`
}

function namedGraph({ network, of, wrt, product, refused }: Derivation, sum: boolean): Graph {
  const namer = namerFor(network)
  const added: Value[] = []
  const fed = (kind: string, { name, value }: Named): Value => {
    const made = input(namer.unique(`${kind}.${name}`), value.dtype, value.shape)
    added.push(made)
    return made
  }
  const seeds = (): Seeds =>
    of.map((y) => [y.value, sum || y.value.shape.length === 0 ? fillAs(1, y.value) : fed('seed', y)])
  const tangents = (): Seeds => wrt.map((x) => [x.value, fed('tangent', x)])
  const outputs = new Map(network.outputs)
  const give = (kind: string, some: readonly Named[], values: readonly Value[]) =>
    some.forEach(({ name }, i) => {
      outputs.set(namer.unique(`${kind}.${name}`), values[i]!)
    })
  const options = { refused }
  if (product === 'jvp') {
    const ys = of.map(({ value }) => value)
    give('tangent', of, jacobianVector(ys, tangents(), options))
  } else if (product === 'vjp') {
    const xs = wrt.map(({ value }) => value)
    give('grad', wrt, vectorJacobian(seeds(), xs, options))
  } else {
    const { gradients, products } = hessianVector(seeds(), tangents(), options)
    give('grad', wrt, gradients)
    give('hvp', wrt, products)
  }
  return graph(network.name, [...network.inputs, ...added], outputs)
}
