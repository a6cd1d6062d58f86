// Derivatives in the names and the layout of CasADi, which finds them beside an ONNX file: adj_f.onnx, fwd_f.onnx and
// fwd_adj_f.onnx beside f.onnx (casadi.GraphBuilder, CasADi 3.8).

import { type Seeds, vectorJacobian } from '../autodiff/gradients.js'
import { hessianVector, jacobianVector } from '../autodiff/products.js'
import { UserError } from '../errors.js'
import { closure } from '../graph/closure.js'
import { type Graph, graph } from '../graph/graph.js'
import { type Dim, isStatic, type Shape, sizeOf } from '../graph/shape.js'
import { apply, apply1, formatType, input, nameOf, type Value } from '../graph/value.js'
import { add, concat, Expand, int64, reshape, Scan, shapeOf, slice, transpose, unsqueeze } from '../ops/index.js'
import { type Derivation, type Named, namerFor } from './derivation.js'

/** Its sizes, which have to be known. */
function sizesOf({ name, value }: Named): readonly number[] {
  if (isStatic(value.shape)) return value.shape
  throw new UserError(
    `'${name}' is ${formatType(value)}; CasADi needs all its sizes: say those of the inputs, as in --shape image=1,3,224,224`,
  )
}

/**
 * CasADi sees a tensor as a matrix: a scalar or a vector is a column, and of more than two axes all numbers are one. Several directions
 * lie side by side.
 */
function matrixOf(shape: readonly number[], directions: Dim): Shape {
  const [rows = 1, columns = 1] = shape
  return shape.length > 2 ? [sizeOf(shape), directions] : [rows, sizeOf([directions, columns])]
}

/** Directions side by side → the directions first, [directions, …shape]. */
function stacked(matrix: Value, shape: readonly number[]): Value {
  const [rows = 1, columns = 1] = shape
  if (shape.length > 2) return reshape(transpose(matrix, [1, 0]), [-1, ...shape])
  return reshape(transpose(reshape(matrix, [rows, -1, columns]), [1, 0, 2]), [-1, ...shape])
}

/** The directions first → side by side. */
function sideBySide(stack: Value, shape: readonly number[]): Value {
  const [rows = 1, columns = 1] = shape
  if (shape.length > 2) return transpose(reshape(stack, [-1, Number(sizeOf(shape))]), [1, 0])
  return reshape(transpose(reshape(stack, [-1, rows, columns]), [1, 0, 2]), [rows, -1])
}

/** The next prefix of a kind: a file of derivatives has adj_x already, and its own have adj2_x. */
function prefixFor(kind: string, names: readonly string[]): string {
  const orders = names
    .map((name) => new RegExp(`^${kind}(\\d*)_`).exec(name))
    .map((match) => (match ? Number(match[1] || 1) : 0))
  const order = Math.max(0, ...orders)
  return order === 0 ? `${kind}_` : `${kind}${order + 1}_`
}

/** What several values are in every direction, [directions, …shape], from what is so of others. */
function inEach(stacks: readonly Value[], derived: (given: readonly Value[]) => readonly Value[]): readonly Value[] {
  const given = stacks.map(({ dtype, shape: [, ...sizes] }, i) => input(`direction${i}`, dtype, sizes))
  const results = new Map(derived(given).map((value, i) => [String(i), value]))
  // What does not depend on the direction is computed once, around the scan.
  const { body, captured } = closure('directions', given, results)
  return apply(Scan, [...stacks, ...captured], { body, num_scan_inputs: stacks.length })
}

/** Each of the one beside each of the other, [outer · inner, …]: those of the first change last. */
function paired(outer: readonly Value[], inner: readonly Value[]): readonly Value[] {
  const count = ([stack]: readonly Value[]) => slice(shapeOf(stack!), [0], [0], [1])
  const counts = [count(outer), count(inner)]
  const repeated = (stack: Value, axis: number) => {
    const sizes = stack.shape.slice(1) as readonly number[]
    const target = concat([...counts, int64(sizes)], 0)
    return reshape(apply1(Expand, [unsqueeze(stack, axis), target]), [-1, ...sizes])
  }
  return [...outer.map((stack) => repeated(stack, 1)), ...inner.map((stack) => repeated(stack, 0))]
}

/**
 * A graph that CasADi takes for a derivative of the network's file: the network's inputs and then seeds, in so many directions as
 * are fed (`nadj`, `nfwd`), each value a matrix.
 * - vjp, `adj_f.onnx`: adj_Y → adj_X
 * - jvp, `fwd_f.onnx`: fwd_X → fwd_Y
 * - hvp, `fwd_adj_f.onnx`, the derivative of adj_X: adj_Y, fwd_X, fwd_adj_Y → fwd_adj_X, adjoint directions within forward ones
 * @throws UserError for sizes that are not known
 */
export function casadiGraph({ network, of, wrt, product, refused }: Derivation): Graph {
  const options = { refused }
  const namer = namerFor(network)
  const names = [...network.inputs.map(nameOf), ...network.outputs.keys()]
  const [adj, fwd] = [prefixFor('adj', names), prefixFor('fwd', names)]
  const countOf = (prefix: string) => `n${prefix.slice(0, -1)}`
  const added: Value[] = []
  const fed = (prefix: string, some: readonly Named[], directions: Dim): readonly Value[] =>
    some.map((one) => {
      const shape = sizesOf(one)
      const made = input(namer.unique(`${prefix}${one.name}`), one.value.dtype, matrixOf(shape, directions))
      added.push(made)
      return stacked(made, shape)
    })
  const outputs = new Map<string, Value>()
  const give = (prefix: string, some: readonly Named[], stacks: readonly Value[]) =>
    some.forEach((one, i) => {
      outputs.set(namer.unique(`${prefix}${one.name}`), sideBySide(stacks[i]!, sizesOf(one)))
    })
  const at = (some: readonly Named[], given: readonly Value[]): Seeds => some.map(({ value }, i) => [value, given[i]!])
  const xs = wrt.map(({ value }) => value)
  if (product === 'vjp') {
    const seeds = fed(adj, of, countOf(adj))
    give(
      adj,
      wrt,
      inEach(seeds, (given) => vectorJacobian(at(of, given), xs, options)),
    )
  } else if (product === 'jvp') {
    const ys = of.map(({ value }) => value)
    const tangents = fed(fwd, wrt, countOf(fwd))
    give(
      fwd,
      of,
      inEach(tangents, (given) => jacobianVector(ys, at(wrt, given), options)),
    )
  } else {
    const seeds = fed(adj, of, countOf(adj))
    const tangents = fed(fwd, wrt, countOf(fwd))
    const changes = fed(`${fwd}${adj}`, of, sizeOf([countOf(fwd), countOf(adj)]))
    const stacks = inEach([...paired(tangents, seeds), ...changes], (given) => {
      const [tangent, seed, change] = [
        given.slice(0, wrt.length),
        given.slice(wrt.length, -of.length),
        given.slice(-of.length),
      ]
      const { products } = hessianVector(at(of, seed), at(wrt, tangent), options)
      const along = vectorJacobian(at(of, change), xs, options)
      return products.map((product, i) => add(product, along[i]!))
    })
    give(`${fwd}${adj}`, wrt, stacks)
  }
  return graph(network.name, [...network.inputs, ...added], outputs)
}
