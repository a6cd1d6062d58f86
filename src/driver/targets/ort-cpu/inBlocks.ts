// First pass: which operators take blocked activations, and how each of them is written then. What none of the rules is
// for is what `portable` makes of it.

import type { Graph } from '../../../core/graph/graph.js'
import type { Attributes } from '../../../core/graph/operator.js'
import { rewrite } from '../../../core/graph/rewrite.js'
import { isStatic } from '../../../core/graph/shape.js'
import { apply, constant, constantOf, type Node, type Value } from '../../../core/graph/value.js'
import {
  add,
  BatchNormAgain,
  BatchNormalization,
  BatchNormGrad,
  BatchNormTraining,
  Conv,
  ConvInputGrad,
  ConvWeightGrad,
  Expand,
  GlobalAveragePool,
  LayerNormalization,
  MaxPool,
  MaxPoolGrad,
  Mul,
  mul,
  ReduceSum,
  reciprocal,
  reshape,
  Shape_,
  sqrt,
  type Window,
  waitingScale,
} from '../../../core/ops/index.js'
import { batchNormBy } from '../../../core/targets/batchNorm.js'
import { portable } from '../../../core/targets/portable/index.js'
import { expandNode, isPrimitive } from '../../../core/targets/target.js'
import { blockedForms } from './batchNorm.js'
import { type Call, type Candidate, type Choose, keyOf } from './candidates.js'
import { convCandidates, convInputGradCandidates } from './convolution.js'
import { type Layout, layoutBy } from './layout.js'
import type { Nchwc } from './nchwc.js'
import { convWeightGradCandidates } from './weightGradient.js'

/** What takes a node's place; undefined where the rule is not for these operands. */
type Rule = (inputs: readonly Value[], attributes: Attributes, node: Node) => readonly Value[] | undefined

export function inBlocks(source: Graph, nchwc: Nchwc, choose: Choose): Graph {
  const layout = layoutBy(nchwc)
  const used = new Set([...source.nodes.flatMap(({ inputs }) => inputs), ...source.outputs.values()])
  const rules = new Map<unknown, Rule>([
    [Conv, picked(convCandidates(layout), layout, choose)],
    [ConvInputGrad, picked(convInputGradCandidates(layout), layout, choose)],
    [ConvWeightGrad, picked(convWeightGradCandidates(layout), layout, choose)],
    ...normalizations(layout),
    [GlobalAveragePool, ([x]) => (layout.isBlocked(x!) ? [nchwc.globalAveragePool(layout.blocked(x!))] : undefined)],
    [
      MaxPool,
      // With places in the whole of x it has no blocked form.
      ([x], attributes, { outputs: [, places] }) =>
        layout.isBlocked(x!) && !used.has(places)
          ? [layout.plain(nchwc.maxPool(layout.blocked(x!), attributes as unknown as Window)), places!]
          : undefined,
    ],
    [
      MaxPoolGrad,
      ([dy, x, y], { kernel_shape }) =>
        layout.isBlocked(x!)
          ? [
              layout.plain(
                nchwc.maxPoolGrad(
                  [layout.blocked(dy!), layout.blocked(x!), layout.blocked(y!)],
                  kernel_shape as readonly number[],
                ),
              ),
            ]
          : undefined,
    ],
    // ONNX Runtime 1.29 takes each number of it by itself in one thread, three times as long as the passes that it is made of.
    [LayerNormalization, (inputs, attributes) => LayerNormalization.body!(inputs, attributes as never)],
    ...channelwise(layout),
    // Known here, so that nothing has to be laid out to be asked for its shape.
    [Shape_, ([x]) => (isStatic(x!.shape) ? [constant('int64', x!.shape)] : undefined)],
  ])
  return rewrite(source, (node, inputs) => {
    const operands = inputs as readonly Value[]
    const rule = rules.get(node.operator)
    return (
      rule?.(operands, node.attributes, node) ??
      elementwise(layout, node, operands) ??
      expandNode(portable, node, inputs)
    )
  })
}

function picked<A>(candidates: readonly Candidate<A>[], layout: Layout, choose: Choose): Rule {
  return (inputs, given, { operator }) => {
    const attributes = given as A
    const fitting = candidates.filter((candidate) => candidate.fits(inputs, attributes))
    const operands = inputs.flatMap((value) =>
      value ? [{ dtype: value.dtype, shape: value.shape, blocked: layout.isBlocked(value) }] : [],
    )
    const call: Call = { operator, attributes: given, operands }
    const names = fitting.map(({ name }) => name)
    const chosen = choose(keyOf(call), names, call)
    const candidate = fitting.find(({ name }) => name === chosen) ?? fitting[0]!
    return [candidate.write(inputs, attributes)]
  }
}

/** Batch norms: their algebra with blocked means and passes. */
function normalizations({ nchwc, isBlocked, blocked, plain }: Layout): [unknown, Rule][] {
  const forms = blockedForms(nchwc)
  const batchNorm = batchNormBy(forms)
  const firstPlain = ([y, ...vectors]: readonly Value[]) => [plain(y!), ...vectors]
  return [
    [
      BatchNormTraining,
      ([x, ...vectors], attributes) =>
        isBlocked(x!)
          ? firstPlain(batchNorm.BatchNormTraining([blocked(x!), ...vectors], attributes as never))
          : undefined,
    ],
    [
      BatchNormGrad,
      ([dy, x, ...vectors]) =>
        isBlocked(x!) ? firstPlain(batchNorm.BatchNormGrad([blocked(dy!), blocked(x!), ...vectors], {})) : undefined,
    ],
    [
      BatchNormAgain,
      ([x, scale, shift, mean, inverse, after]) => {
        if (!isBlocked(x!)) return undefined
        // The first number of each image stands first in both layouts.
        const waiting = waitingScale(scale!, isBlocked(after!) ? blocked(after!) : after!)
        return [plain(forms.normalize(blocked(x!), { scale: waiting, shift: shift!, mean: mean!, inverse: inverse! }))]
      },
    ],
    [
      BatchNormalization,
      ([x, scale, shift, mean, variance], { epsilon, training_mode }) => {
        if (!isBlocked(x!) || training_mode) return undefined
        const inverse = reciprocal(sqrt(add(variance!, epsilon as number)))
        return [plain(forms.normalize(blocked(x!), { scale: scale!, shift: shift!, mean: mean!, inverse }))]
      },
    ],
  ]
}

/** Each place costs a kernel of as many: a convolution spreads a number over so many places at most. */
const MOST_PLACES = 64

/**
 * One number an image and channel, [N, C, 1, 1], as squeeze and excitation has it: a factor, a sum over places, and the gradients
 * of both. Each image and channel is a channel of one image then, where a depthwise convolution has a filter for it.
 */
function channelwise({ nchwc, isBlocked, blocked, plain, fits }: Layout): [unknown, Rule][] {
  const isVector = (s: Value, x: Value) =>
    fits(s) && fits(x) && s.shape.join() === [x.shape[0], x.shape[1], 1, 1].join() && s.shape.join() !== x.shape.join()
  const asOne = (x: Value): Value => {
    const [n, c, h, w] = x.shape as readonly number[]
    return reshape(x, [1, n! * c!, h!, w!])
  }
  const filters = (x: Value): Value => {
    const [n, c, h, w] = x.shape as readonly number[]
    return reshape(x, [n! * c!, 1, h!, w!])
  }
  const ofEach = (x: Value) => (x.shape[0] as number) * (x.shape[1] as number)
  return [
    [
      Mul,
      (inputs) => {
        const [s, x] = isVector(inputs[0]!, inputs[1]!) ? inputs : [...inputs].reverse()
        if (!isVector(s!, x!) || !isBlocked(x!)) return undefined
        const scaled = nchwc.conv(asOne(blocked(x!)), filters(blocked(s!)), { group: ofEach(x!) })
        return [plain(reshape(scaled, x!.shape as readonly number[]))]
      },
    ],
    [
      ReduceSum,
      ([x, axes], { keepdims }) => {
        const [, , h, w] = x!.shape as readonly number[]
        if (!isBlocked(x!) || !keepdims || axes === undefined || constantOf(axes)?.join() !== '2,3') return undefined
        return [mul(nchwc.globalAveragePool(blocked(x!)), h! * w!)]
      },
    ],
    [
      Expand,
      ([s, shape]) => {
        const target = constantOf(shape)
        if (!target || !fits(s!) || s!.shape.slice(2).join() !== '1,1') return undefined
        const [n, c, h, w] = target as unknown as readonly [number, number, number, number]
        if (target.length !== 4 || n !== s!.shape[0] || c !== s!.shape[1]) return undefined
        if (h * w === 1 || h * w > MOST_PLACES) return undefined
        // Each place of the kernel reaches the one number from another place.
        const ones = constant('float32', new Float32Array(c * h * w).fill(1), [c, 1, h, w])
        const pads = [h - 1, w - 1, h - 1, w - 1]
        return [plain(nchwc.conv(blocked(s!), ones, { group: c, pads }))]
      },
    ],
  ]
}

/** On blocked operands of one shape, and scalars, the numbers may stand in any order. */
function elementwise(
  { isBlocked, fits, blocked, plain }: Layout,
  node: Node,
  inputs: readonly Value[],
): readonly Value[] | undefined {
  if (!node.operator.elementwise || !inputs.some((value) => value && isBlocked(value))) return undefined
  const whole = inputs.filter((value) => value && value.shape.length > 0)
  const [first] = whole
  if (!whole.every((value) => fits(value) && value.shape.join() === first!.shape.join())) return undefined
  const operands = inputs.map((value) => (value && whole.includes(value) ? blocked(value) : value))
  const outputs = isPrimitive(node)
    ? expandNode(portable, node, operands)!
    : apply(node.operator, operands, node.attributes)
  return outputs.every(({ dtype }) => dtype === 'float32') ? outputs.map(plain) : undefined
}
