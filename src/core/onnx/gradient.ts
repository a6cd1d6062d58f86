// ONNX's Gradient (ai.onnx.preview.training): the node says of which values around it the derivative is wanted, and is resolved
// where it is read. What comes out are the nodes of the backward pass.

import { gradients } from '../autodiff/gradients.js'
import { ancestors } from '../graph/graph.js'
import type { Attributes } from '../graph/operator.js'
import { optional, required } from '../graph/operator.js'
import { type Replace, rewriteOutputs } from '../graph/rewrite.js'
import { unifyShapes } from '../graph/shape.js'
import { isFloat } from '../graph/tensor.js'
import { constant, formatType, GraphError, isParameter, type Node, rootScope, type Value } from '../graph/value.js'
import { gradientOf, identity, reduceSum, Seed, seed, WeightGradient } from '../ops/index.js'
import type { Held } from './attributes.js'

export const GRADIENT = 'Gradient'

/** What its attributes are read by. */
export const gradientRecord: Held = {
  name: GRADIENT,
  attributes: { xs: required('strings'), y: required('string'), zs: optional('strings') },
}

interface Named {
  readonly name: string
  readonly value: Value
}

export interface GradientCall {
  /** What it is the derivative of, and by what. */
  readonly y: Named
  readonly xs: readonly Named[]
  /** What y depends on as well, and is held. */
  readonly zs: readonly Named[]
}

/**
 * The values that a node names, of those around it.
 * @throws GraphError for a name that nothing defines, one that is given twice, or no floating-point number
 */
export function gradientCall(attributes: Attributes, around: (name: string) => Value | undefined): GradientCall {
  const {
    xs = [],
    y,
    zs = [],
  } = attributes as {
    readonly xs?: readonly string[]
    readonly y?: string
    readonly zs?: readonly string[]
  }
  if (y === undefined || xs.length === 0) throw new GraphError("needs the attributes 'xs' and 'y'")
  const named = (name: string): Named => {
    const value = around(name)
    if (!value) throw new GraphError(`names '${name}', which nothing before it defines`)
    return { name, value }
  }
  const all = [...xs, ...zs]
  const twice = all.find((name, i) => all.indexOf(name) !== i)
  if (twice !== undefined) throw new GraphError(`names '${twice}' twice in xs and zs; expected each once`)
  const call = { y: named(y), xs: xs.map(named), zs: zs.map(named) }
  const whole = [call.y, ...call.xs].find(({ value }) => !isFloat(value.dtype))
  if (whole)
    throw new GraphError(`names '${whole.name}', which is ${formatType(whole.value)}; only floats have a gradient`)
  return call
}

/** The nodes between the named values and y, which are what a Gradient goes back through. */
const between = ({ y, xs, zs }: GradientCall): readonly Node[] =>
  ancestors([y.value], new Set([...xs, ...zs].map(({ value }) => value)))

/** How many nodes it goes back through. */
export const gradientSize = (call: GradientCall): number => between(call).length

/** @throws GraphError where one of the named values depends on an x: then neither can be held while the other changes */
function checkIndependent({ xs, zs }: GradientCall): void {
  const named = new Map([...xs, ...zs].map(({ name, value }) => [value, name]))
  /** Values that depend on an x, and on which. */
  const reached = new Map(xs.map(({ name, value }) => [value, name]))
  for (const { inputs, outputs } of ancestors(named.keys())) {
    const from = inputs.find((value) => value && reached.has(value))
    if (!from) continue
    const x = reached.get(from)!
    const dependent = outputs.find((value) => named.has(value))
    if (dependent)
      throw new GraphError(
        `names '${named.get(dependent)}', which depends on '${x}': xs and zs must be independent of each other, leave out one`,
      )
    for (const value of outputs) reached.set(value, x)
  }
}

/** Without the marks of a backward pass that is itself differentiated: its ends are no ends of the whole. */
const unmarked: Replace = ({ operator }, [operand]) =>
  operator === Seed ? [constant(operand!.dtype, 1)] : operator === WeightGradient ? [operand!] : undefined

/**
 * ∂y/∂x for each x, where y is summed over its elements if it has several. Where the node is given other tensors than those it
 * names, y is computed from them. Gradients of parameters are marked as such, for passes over a training step.
 * @param inputs of the node: what xs, then zs, are at the point of the derivative; zs may be left out
 * @throws GraphError where they do not fit what is named, the named values depend on each other, or an operator has no gradient
 */
export function gradientAt(call: GradientCall, inputs: readonly (Value | undefined)[]): readonly Value[] {
  const named = [...call.xs, ...call.zs]
  if (inputs.length > named.length || inputs.length < call.xs.length)
    throw new GraphError(`takes one input for each of xs and zs, ${named.length}; got ${inputs.length}`)
  inputs.forEach((given, i) => {
    const { name, value } = named[i]!
    if (given?.dtype !== value.dtype || !unifyShapes(given.shape, value.shape))
      throw new GraphError(
        `input ${i} is ${given ? formatType(given) : 'left out'}, but stands for '${name}', ${formatType(value)}`,
      )
  })
  const isThemselves = inputs.every((given, i) => given === named[i]!.value)
  if (isThemselves) checkIndependent(call)
  // Else each is a value of its own, so that they are independent although one tensor may be given for several.
  const leaves = new Map(
    named.map(({ value }, i) => [value, isThemselves ? value : identity(inputs[i] ?? value)] as const),
  )
  const nodes = between(call)
  const y = rewriteOutputs({ nodes, outputs: new Map([['y', call.y.value]]) }, unmarked, { leaves }).get('y')!
  const xs = call.xs.map(({ value }) => leaves.get(value)!)
  if (y.shape.length > 0) return gradients(reduceSum(y, undefined, { keepdims: 0 }), xs)
  if (!xs.every(isParameter)) return gradients(y, xs)
  const found = gradients(y, xs, { seed: seed(y) })
  return found.map((gradient, i) => rootScope(`update/${call.xs[i]!.name}`, () => gradientOf(gradient)))
}
