// The same actions as test/support/trainingApi.*, by our gradient graph in float64 and the optimizers' rules written anew.
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { type Graph, graph } from '../../../src/core/graph/graph.js'
import { type Numbers, widen } from '../../../src/core/graph/tensor.js'
import type { Parameter } from '../../../src/core/graph/value.js'
import { crossEntropy } from '../../../src/core/losses/index.js'
import { backward, scored } from '../../../src/core/training/backward.js'
import { initialize } from '../../../src/core/training/initialize.js'
import type { ModelOptions } from '../../../src/driver/artifacts/models.js'
import { rounded, type Tensors } from '../../support/runtime.js'

/** `rate` is the learning rate from there on; `reload` goes on from a checkpoint saved at this moment. */
export type Action =
  | readonly ['train' | 'eval', batch: number]
  | readonly ['rate', value: number]
  | readonly ['export', file: string]
  | readonly ['update' | 'reset' | 'contiguous' | 'named' | 'trained' | 'reload']
export type Outcome = Readonly<Record<string, readonly number[]>>

const beta1 = 0.9
const beta2 = 0.999
const epsilon = 1e-8
const decay = 0.01

export class Reference {
  readonly state: Map<string, Numbers>
  private readonly step: Graph
  private readonly evaluation: Graph
  /** The outputs that the user gets. */
  private readonly shown: readonly string[]
  private readonly weights: readonly Parameter[]
  private readonly statistics: readonly Parameter[]
  private readonly sums = new Map<string, Float64Array>()
  private readonly moments = new Map<string, readonly [Float64Array, Float64Array]>()
  private updates = 0
  private fresh = true

  constructor(
    private readonly network: Graph,
    private readonly optimizer: 'adamw' | 'sgd',
    private rate: number,
    seed: number,
    { loss = crossEntropy(), batchNorm }: ModelOptions = {},
  ) {
    const { form, scores, targets, gradients } = backward(network, { loss, batchNorm, recompute: false })
    const [read] = [...network.outputs].filter(([name]) => name === 'logits' || name === 'y')
    const output = read![0]
    this.shown = [...scores.keys(), output]
    this.weights = [...gradients.keys()]
    this.statistics = [...form.statistics.keys()]
    const outputs = new Map([...scores, [output, form.graph.outputs.get(output)!]])
    for (const [{ origin }, value] of [...gradients, ...form.statistics]) outputs.set(`${origin.name}.new`, value)
    const gates = form.gates ? [form.gates.input] : []
    this.step = graph('step', [...network.inputs, ...targets, ...gates], outputs)
    const predicted = scored(network, loss, 'eval')
    const given = network.outputs.get(output)!
    this.evaluation = graph(
      'eval',
      [...network.inputs, ...predicted.targets],
      new Map([...predicted.scores, [output, given]]),
    )
    this.state = new Map([...initialize([network], seed)].map(([name, value]) => [name, rounded(widen(value))]))
  }

  does([name, given]: Action, batches: readonly Tensors[]): Outcome {
    if (name === 'train') return this.train(batches[given]!)
    if (name === 'eval') return this.outcome(evaluate(this.evaluation, new Map([...this.state, ...batches[given]!])))
    if (name === 'update') this.update()
    if (name === 'reset') this.fresh = true
    if (name === 'rate') this.rate = given
    if (name === 'contiguous') return { parameters: this.network.parameters.flatMap((value) => this.numbers(value)) }
    if (name === 'named')
      return Object.fromEntries(this.network.parameters.map((value) => [value.origin.name, this.numbers(value)]))
    if (name === 'trained')
      return Object.fromEntries(this.network.parameters.map(({ origin }) => [origin.name, [Number(origin.trainable)]]))
    return {}
  }

  private readonly numbers = ({ origin }: Parameter) => [...this.state.get(origin.name)!.data]

  private outcome(results: Tensors): Outcome {
    const wanted = this.shown.flatMap((name) => {
      const value = results.get(name)
      return value ? [[name, [...value.data]] as const] : []
    })
    return Object.fromEntries(wanted)
  }

  private train(batch: Tensors): Outcome {
    const results = evaluate(this.step, new Map([...this.state, ...batch]))
    for (const { origin } of this.weights) {
      const before = this.fresh ? undefined : this.sums.get(origin.name)
      const { data } = results.get(`${origin.name}.new`)!
      this.sums.set(origin.name, before ? data.map((value, i) => value + before[i]!) : data)
    }
    this.fresh = false
    for (const { origin } of this.statistics) this.state.set(origin.name, results.get(`${origin.name}.new`)!)
    return this.outcome(results)
  }

  private update(): void {
    this.updates++
    for (const { origin } of this.weights) {
      const { name } = origin
      const w = this.state.get(name)!
      const g = this.sums.get(name)!
      this.state.set(name, { ...w, data: this.optimizer === 'sgd' ? this.sgd(w.data, g) : this.adamw(name, w.data, g) })
    }
  }

  private sgd = (w: Float64Array, g: Float64Array): Float64Array => w.map((value, i) => value - this.rate * g[i]!)

  /** Loshchilov and Hutter 2019, algorithm 2, the decay with the learning rate as PyTorch has it. */
  private adamw(name: string, w: Float64Array, g: Float64Array): Float64Array {
    const [m, v] = this.moments.get(name) ?? [g.map(() => 0), g.map(() => 0)]
    const nextM = g.map((value, i) => beta1 * m[i]! + (1 - beta1) * value)
    const nextV = g.map((value, i) => beta2 * v[i]! + (1 - beta2) * value * value)
    this.moments.set(name, [nextM, nextV])
    return w.map((value, i) => {
      const mean = nextM[i]! / (1 - beta1 ** this.updates)
      const square = nextV[i]! / (1 - beta2 ** this.updates)
      return value - this.rate * decay * value - (this.rate * mean) / (Math.sqrt(square) + epsilon)
    })
  }
}
