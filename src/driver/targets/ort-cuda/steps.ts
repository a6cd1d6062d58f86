// Many training steps in one run. ONNX Runtime for Node gives and takes all tensors in the computer's memory: a step a run
// would send the parameters over the bus and back each time. What a Loop carries stays on the device.

import { cse } from '../../../core/graph/cse.js'
import { type Graph, graph } from '../../../core/graph/graph.js'
import { rewriteOutputs } from '../../../core/graph/rewrite.js'
import { constant, input, nameOf, rootScope, type Value } from '../../../core/graph/value.js'
import {
  add,
  cast,
  gather,
  greaterOrEqual,
  Loop,
  less,
  loop,
  mul,
  reduceL1,
  shapeOf,
  where,
} from '../../../core/ops/index.js'
import { portable } from '../../../core/targets/portable/index.js'
import { expandPrimitives } from '../../../core/targets/target.js'
import type { StepSignature } from '../../../core/training/signature.js'
import { packed, packState, unpacked } from '../gpu/packs.js'
import type { Precision } from '../target.js'
import { lowerNetwork } from './index.js'

/**
 * State of half-precision training, float32 []: the loss is multiplied by `scale` to keep small gradients from vanishing;
 * `steady` counts the steps since it last changed, `skipped` those whose gradients overflowed and that were not taken.
 */
export const lossScaling = {
  scale: 'loss_scale',
  steady: 'loss_scale.steady_steps',
  skipped: 'loss_scale.skipped_steps',
} as const

/** Output of half-precision training, float32 [steps]: the loss scale of each step. */
export const LOSS_SCALES = 'loss_scales'

/** PyTorch's GradScaler: begins at 2^16, doubles after 2000 steady steps, halves at an overflow. */
const scaling = { initial: 2 ** 16, interval: 2000, up: 2, down: 0.5 }

/** First values of the state that half precision adds; none for `fp32`. */
export const scalingState = (precision: Precision): Readonly<Record<string, number>> =>
  precision === 'fp16'
    ? { [lossScaling.scale]: scaling.initial, [lossScaling.steady]: 0, [lossScaling.skipped]: 0 }
    : {}

const NEXT = '.next'

type Named = Readonly<Record<string, Value>>

/** Many training steps in one graph, by {@link trainingSteps}. */
export interface TrainingSteps {
  /**
   * Inputs: those of the step by their names, the batches, targets, hyperparameters and what is drawn each with one more axis in
   * front, [steps]; the state as ever. Outputs: the loss and what the metrics are made from, each [steps], and the state after
   * the last step.
   */
  readonly graph: Graph
  /** Of the step, with the state that half precision adds. */
  readonly signature: StepSignature
}

/** How {@link trainingSteps} writes them. */
export interface StepsOptions {
  readonly precision?: Precision
}

const byName = ({ inputs }: Graph) => new Map(inputs.map((value) => [nameOf(value), value]))

/** What the steps of a run are fed from, in place of what one step is fed. */
interface Source {
  readonly inputs: readonly Value[]
  /** Steps in the run, int64 [], and examples in a batch, float32 []. */
  readonly count: Value
  readonly examples: Value
  /** The inputs of one step, by their names in it. */
  of(iteration: Value): Record<string, Value>
}

function sourceOf(fed: readonly Value[]): Source {
  const inputs = fed.map(({ dtype, shape, origin }) =>
    input('name' in origin ? origin.name : '', dtype, ['steps', ...shape]),
  )
  const sizes = shapeOf(inputs[0]!)
  return {
    inputs,
    count: gather(sizes, constant('int64', 0)),
    examples: cast(gather(sizes, constant('int64', 1)), 'float32'),
    of: (iteration) => Object.fromEntries(inputs.map((value) => [nameOf(value), gather(value, iteration)])),
  }
}

/** A graph's outputs with these values for its inputs. */
function applied(source: Graph, given: Named): ReadonlyMap<string, Value> {
  const leaves = new Map(
    [...byName(source)].flatMap(([name, value]) => (Object.hasOwn(given, name) ? [[value, given[name]!]] : [])),
  )
  return rewriteOutputs(source, () => undefined, { leaves })
}

/**
 * Puts training steps into a loop.
 * @param step one training step, primitives not yet expanded, its state as inputs
 */
export function trainingSteps(
  step: Graph,
  signature: StepSignature,
  { precision = 'fp32' }: StepsOptions = {},
): TrainingSteps {
  // What a single step does not have: they become values of the loop.
  const examples = input('examples_per_batch', 'float32', [])
  const scalars = Object.keys(scalingState(precision)).map((name) => input(name, 'float32', []))
  const [lossScale] = scalars
  const open = graph(step.name, [...step.inputs, examples, ...(lossScale ? [lossScale] : [])], step.outputs)
  const lowered = lowerNetwork(open, { precision, examples, lossScale })
  const { graph: apart, packs } = packState(lowered, signature.updates)
  const body = cse(expandPrimitives(apart, portable))
  const state = new Set(Object.values(signature.updates))
  const measured = [signature.loss, ...signature.metrics.map(({ output }) => output)]

  return rootScope('', () => {
    const source = sourceOf(step.inputs.filter((value) => !state.has(nameOf(value))))
    const initial = Object.fromEntries([
      ...packs.map((pack) => [pack.name, packed(pack)]),
      ...scalars.map((value) => [nameOf(value), value]),
    ]) as Named
    const { carried: last, stacked } = loop(source.count, initial, (iteration, carried) => {
      const batch = rootScope('batch', () => source.of(iteration))
      const outputs = applied(body, { ...carried, ...batch, [nameOf(examples)]: source.examples })
      const next = Object.fromEntries(packs.map(({ name }) => [name, outputs.get(`${name}${NEXT}`)!]))
      return {
        carried: lossScale ? rootScope('loss_scale', () => guarded(carried, next)) : next,
        stacked: {
          ...Object.fromEntries(measured.map((name) => [name, outputs.get(name)!])),
          ...(lossScale ? { [LOSS_SCALES]: carried[lossScaling.scale]! } : {}),
        },
      }
    })
    const results = new Map([
      ...Object.entries(stacked),
      ...packs.flatMap((pack) => [...unpacked(pack, last[pack.name]!)]),
      ...scalars.map((value): [string, Value] => [`${nameOf(value)}${NEXT}`, last[nameOf(value)]!]),
    ])
    const kept = step.inputs.filter((value) => state.has(nameOf(value)))
    const added = scalars.map((value) => [`${nameOf(value)}${NEXT}`, nameOf(value)])
    return {
      graph: graph(step.name, [...source.inputs, ...kept, ...scalars], results),
      signature: { ...signature, updates: { ...signature.updates, ...Object.fromEntries(added) } },
    }
  })
}

/**
 * Puts the evaluation of batch after batch into a loop.
 * @param network an inference graph; its parameters are inputs
 * @param inputs what it is fed with
 * @param wanted outputs
 * @returns a graph that takes the inputs with one more axis in front, [steps, batch, …], and the parameters, and gives the
 *   outputs [steps, batch, …]
 */
export function evaluationSteps(network: Graph, inputs: readonly string[], wanted: readonly string[]): Graph {
  const lowered = lowerNetwork(network, {})
  return rootScope('', () => {
    const source = sourceOf(network.inputs.filter((value) => inputs.includes(nameOf(value))))
    const { stacked } = loop(source.count, {}, (iteration) => {
      const outputs = applied(lowered, source.of(iteration))
      return { carried: {}, stacked: Object.fromEntries(wanted.map((name) => [name, outputs.get(name)!])) }
    })
    const parameters = network.inputs.filter((value) => !inputs.includes(nameOf(value)))
    return graph(network.name, [...source.inputs, ...parameters], stacked)
  })
}

/** A step whose new state is not finite is not taken; the loss scale follows (PyTorch's GradScaler). */
function guarded(state: Named, next: Named): Named {
  const axes = ({ shape }: Value) => shape.map((_, axis) => axis)
  const sizes = Object.values(next).map((value) => reduceL1(value, axes(value), { keepdims: 0 }))
  const finite = less(
    sizes.reduce((a, b) => add(a, b)),
    Number.POSITIVE_INFINITY,
  )
  const [scale, steady, skipped] = Object.values(lossScaling).map((name) => state[name]!) as [Value, Value, Value]
  const more = add(steady, 1)
  const grown = greaterOrEqual(more, scaling.interval)
  const kept = Object.entries(next).map(([name, value]): [string, Value] => [name, where(finite, value, state[name]!)])
  return {
    ...Object.fromEntries(kept),
    [lossScaling.scale]: where(finite, where(grown, mul(scale, scaling.up), scale), mul(scale, scaling.down)),
    [lossScaling.steady]: where(finite, where(grown, 0, more), 0),
    [lossScaling.skipped]: where(finite, skipped, add(skipped, 1)),
  }
}

/** The nodes of one step of a graph that `trainingSteps` made. */
export function stepNodes({ nodes }: Graph): Graph['nodes'] {
  const body = nodes.find(({ operator }) => operator === Loop)?.attributes.body
  return typeof body === 'object' && 'graph' in body ? body.graph.nodes : nodes
}
