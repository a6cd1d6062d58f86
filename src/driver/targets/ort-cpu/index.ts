// Target `ort-cpu`: ONNX Runtime's CPU provider at the machine's speed. The step gets fixed shapes; activations stay in
// blocks of channels from the first convolution to the pooling, ReLUs and residual sums go into the convolutions before
// them. Everything else stays the plain ONNX that it is. Figures: bench/README.md.

import type { Graph } from '../../../core/graph/graph.js'
import { rewrite } from '../../../core/graph/rewrite.js'
import { isStatic } from '../../../core/graph/shape.js'
import { apply, constant, constantOf, type Node, nodeOf, type Value } from '../../../core/graph/value.js'
import type { ConvAttributes } from '../../../core/ops/conv.js'
import {
  Add,
  add,
  elementwiseOperators,
  Gate,
  Mul,
  Reciprocal,
  Relu,
  reciprocal,
  Shape_,
  sqrt,
} from '../../../core/ops/index.js'
import { batchNormBy } from '../../../core/targets/batchNorm.js'
import { portable } from '../../../core/targets/portable/index.js'
import { expandNode, isPrimitive, type Target } from '../../../core/targets/target.js'
import { blockedForms } from './batchNorm.js'
import { type Call, type Candidate, type Choose, keyOf } from './candidates.js'
import { convCandidates, convInputGradCandidates } from './convolution.js'
import { type Layout, layoutBy } from './layout.js'
import { type Nchwc, nchwc } from './nchwc.js'
import { convWeightGradCandidates } from './weightGradient.js'

export interface CpuOptions {
  /** Channels in a block on the machine that will run the step: 8 with AVX2, 16 with AVX-512. */
  readonly block: number
  /** Picks among the ways to write a convolution and its gradients; the first that fits unless given. */
  readonly choose?: Choose
}

/** The target for a machine. The graphs that it lowers have known shapes. */
export const ortCpu = ({ block, choose = () => undefined }: CpuOptions): Target => ({
  name: 'ort-cpu',
  lower(graph) {
    const lowering = new Lowering(graph, nchwc(block), choose)
    return rewrite(graph, (node, inputs) => lowering.write(node, inputs))
  },
})

/** A gate is one number for all of them. */
const byElement = new Set([Gate.name, ...elementwiseOperators.map(({ name }) => name)])

type Rule = (node: Node, inputs: readonly Value[]) => readonly Value[] | undefined

/** 1/√v; of v = 1/(s·s) it is the s > 0 that v was made of. */
function inverseRoot(v: Value): Value {
  const square = nodeOf(v)?.operator === Reciprocal ? nodeOf(nodeOf(v)!.inputs[0]!) : undefined
  const [a, b] = square?.operator === Mul ? square.inputs : []
  return a && a === b ? a : reciprocal(sqrt(v))
}

/** One graph on its way. A rule returns undefined where it does not apply: the node then is what `portable` makes of it. */
class Lowering {
  private readonly layout: Layout
  private readonly uses = new Map<Value, number>()
  /** Blocked values that are summands of one convolution and nothing else. */
  private readonly summands = new Set<Value>()
  private readonly rules: Readonly<Record<string, Rule>>

  constructor(
    source: Graph,
    private readonly nchwc: Nchwc,
    private readonly choose: Choose,
  ) {
    this.layout = layoutBy(nchwc)
    for (const value of [...source.nodes.flatMap(({ inputs }) => inputs), ...source.outputs.values()])
      if (value) this.uses.set(value, (this.uses.get(value) ?? 0) + 1)

    const forms = blockedForms(nchwc)
    const batchNorm = batchNormBy(forms)
    const { isBlocked, blocked, plain } = this.layout
    const firstPlain = ([y, ...vectors]: readonly Value[]) => [plain(y!), ...vectors]
    this.rules = {
      Conv: this.pick(convCandidates(this.layout)),
      ConvInputGrad: this.pick(convInputGradCandidates(this.layout)),
      ConvWeightGrad: this.pick(convWeightGradCandidates(this.layout)),
      BatchNormTraining: ({ attributes }, [x, ...vectors]) =>
        isBlocked(x!)
          ? firstPlain(batchNorm.BatchNormTraining([blocked(x!), ...vectors], attributes as never))
          : undefined,
      BatchNormGrad: (_, [dy, x, ...vectors]) =>
        isBlocked(x!) ? firstPlain(batchNorm.BatchNormGrad([blocked(dy!), blocked(x!), ...vectors], {})) : undefined,
      BatchNormalization({ attributes }, [x, scale, shift, mean, variance]) {
        if (!isBlocked(x!) || attributes.training_mode) return undefined
        const widened = attributes.epsilon === 0 ? variance! : add(variance!, attributes.epsilon as number)
        const vectors = { scale: scale!, shift: shift!, mean: mean!, variance: widened, inverse: inverseRoot(widened) }
        return [plain(forms.normalize(blocked(x!), vectors))]
      },
      GlobalAveragePool: (_, [x]) => (isBlocked(x!) ? [nchwc.globalAveragePool(blocked(x!))] : undefined),
      // Known here, so that nothing has to be laid out to be asked for its shape.
      [Shape_.name]: (_, [x]) => (isStatic(x!.shape) ? [constant('int64', x!.shape)] : undefined),
      Slice: (node, inputs) => this.corner(node, inputs),
      [Relu.name]: (node, inputs) => this.activated(node, inputs[0]!) ?? this.elementwise(node, inputs),
      [Add.name]: (node, inputs) => this.summed(node, inputs) ?? this.elementwise(node, inputs),
    }
  }

  write(node: Node, inputs: readonly (Value | undefined)[]): readonly Value[] | undefined {
    const { name } = node.operator
    const rule = Object.hasOwn(this.rules, name) ? this.rules[name]! : this.byElement
    return (
      rule(node, inputs as readonly Value[]) ?? (isPrimitive(node) ? expandNode(portable, node, inputs) : undefined)
    )
  }

  private pick<A>(candidates: readonly Candidate<A>[]): Rule {
    return (node, inputs) => {
      const attributes = node.attributes as A
      const fitting = candidates.filter((candidate) => candidate.fits(inputs, attributes))
      const call = this.callOf(node, inputs)
      const names = fitting.map(({ name }) => name)
      const chosen = this.choose(keyOf(call), names, call)
      const candidate = fitting.find(({ name }) => name === chosen) ?? fitting[0]!
      return [candidate.write(inputs, attributes)]
    }
  }

  private callOf({ operator, attributes }: Node, inputs: readonly (Value | undefined)[]): Call {
    const operands = inputs.flatMap((value) =>
      value ? [{ dtype: value.dtype, shape: value.shape, blocked: this.layout.isBlocked(value) }] : [],
    )
    return { operator, attributes, operands }
  }

  private readonly byElement: Rule = (node, inputs) => this.elementwise(node, inputs)

  /** On blocked operands of one shape, and scalars, the numbers may stand in any order. */
  private elementwise(node: Node, inputs: readonly Value[]): readonly Value[] | undefined {
    const { isBlocked, fits, blocked, plain } = this.layout
    if (!byElement.has(node.operator.name)) return undefined
    if (!inputs.some((value) => value && isBlocked(value))) return undefined
    const whole = inputs.filter((value) => value && value.shape.length > 0)
    const [first] = whole
    if (!whole.every((value) => fits(value) && value.shape.join() === first!.shape.join())) return undefined
    const operands = inputs.map((value) => (value && whole.includes(value) ? blocked(value) : value))
    const outputs = isPrimitive(node)
      ? expandNode(portable, node, operands)
      : apply(node.operator, operands, node.attributes)
    return outputs.every(({ dtype }) => dtype === 'float32') ? outputs.map(plain) : undefined
  }

  /** The first number of each image stands first in both layouts. */
  private corner(node: Node, [x, ...operands]: readonly Value[]): readonly Value[] | undefined {
    if (!x || !this.layout.isBlocked(x)) return undefined
    const [starts, ends, axes, steps] = operands.map(constantOf)
    const isCorner =
      starts?.every((start) => start === 0) &&
      ends?.every((end) => end === 1) &&
      axes?.join() === '1,2,3' &&
      (steps ?? []).every((step) => step === 1)
    return isCorner ? apply(node.operator, [this.layout.blocked(x), ...operands], node.attributes) : undefined
  }

  /** Whether writing a convolution anew costs nothing: nobody else uses its result, or it is one cheap pass. */
  private isFree(source: Value, conv: Node): boolean {
    return this.uses.get(source) === 1 || (conv.attributes.group as number) > 1
  }

  private again(conv: Node, changed: { sum?: Value; activation?: 'Relu' }): Value {
    const [x, w, bias, sum] = conv.inputs
    return this.nchwc.conv(x!, w!, { ...(conv.attributes as unknown as ConvAttributes), bias, sum, ...changed })
  }

  private activated(node: Node, x: Value): readonly Value[] | undefined {
    const conv = this.layout.convBehind(x)
    if (!conv || conv.attributes.activation || !this.isFree(node.inputs[0]!, conv)) return undefined
    return [this.layout.plain(this.again(conv, { activation: 'Relu' }))]
  }

  /** a + b inside the convolution that gives one of them. */
  private summed(node: Node, inputs: readonly Value[]): readonly Value[] | undefined {
    const [a, b] = inputs as readonly [Value, Value]
    const { fits, blocked, plain, convBehind } = this.layout
    if (a === b || !fits(a) || !fits(b) || a.shape.join() !== b.shape.join()) return undefined
    for (const [i, into, other] of [
      [1, b, a],
      [0, a, b],
    ] as const) {
      const conv = convBehind(into)
      const total = conv && this.isFree(node.inputs[i]!, conv) ? this.absorb(conv, blocked(other)) : undefined
      if (!total) continue
      if (this.uses.get(node.inputs[1 - i]!) === 1) this.summands.add(blocked(other))
      return [plain(total)]
    }
    return undefined
  }

  /** The convolution's result plus one more summand; undefined where an activation stands between. */
  private absorb(conv: Node, summand: Value): Value | undefined {
    const sum = conv.inputs[3]
    if (conv.attributes.activation) return undefined
    if (!sum) return this.again(conv, { sum: summand })
    const below = nodeOf(sum)
    if (below?.operator !== this.nchwc.operators.Conv) return undefined
    if (!this.summands.has(sum) && !((below.attributes.group as number) > 1)) return undefined
    const more = this.absorb(below, summand)
    if (!more) return undefined
    if (this.summands.has(sum)) this.summands.add(more)
    return this.again(conv, { sum: more })
  }
}
