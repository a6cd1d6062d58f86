// Many training steps in one run. ONNX Runtime for Node gives and takes all tensors in the computer's memory: a step a run
// would send the parameters over the bus and back each time. What a Loop carries stays on the device.

import { type Graph, graph } from '../../../core/graph/graph.js'
import { rewriteOutputs } from '../../../core/graph/rewrite.js'
import type { Dim } from '../../../core/graph/shape.js'
import { share } from '../../../core/graph/share.js'
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
import { type Cuts, cutBatch } from './augment.js'
import { lowerNetwork, type Precision } from './index.js'
import { packed, packState, unpacked } from './packs.js'

/** The names that a training step has for what is no state. */
export interface StepRoles {
  readonly images: string
  readonly labels: string
  readonly learningRate: string
  readonly loss: string
  readonly correct: string
  readonly gates?: { readonly name: string }
}

/** Inputs of a run of several steps, beside the data set, its labels, learning rates, gates and the state. */
export const cutNames = { indices: 'indices', crops: 'crops', flips: 'flips' } as const

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

export interface TrainingSteps {
  /**
   * Inputs: the data set uint8 [count, C, H, W] and its labels int64 [count], both by the names that the step has for a
   * batch; `indices`, `crops` and `flips` (Cuts); learning rates [steps], gates [steps, G] where there are any; the state.
   * Outputs: loss float32 [steps], correct int64 [steps], and the state after the last step.
   */
  readonly graph: Graph
  /** Output name → the input that it replaces: the step's own state, and what half precision adds. */
  readonly carried: Readonly<Record<string, string>>
}

export interface StepsOptions {
  readonly precision?: Precision
}

/** The outputs of `evaluationSteps`. */
export const LOGITS = 'logits'

const byName = ({ inputs }: Graph) => new Map(inputs.map((value) => [nameOf(value), value]))

/** What the steps of a run are fed from, in place of one batch, one learning rate and the gates of one step. */
interface Source {
  readonly inputs: readonly Value[]
  /** Steps in the run, int64 [], and images in a batch, float32 []. */
  readonly count: Value
  readonly images: Value
  /** The inputs of one step, by their names in it. */
  of(iteration: Value): Record<string, Value>
}

function sourceOf(step: Graph, roles: StepRoles): Source {
  const own = byName(step)
  const [batch, ...image] = own.get(roles.images)!.shape as readonly [Dim, ...Dim[]]
  const dataset = input(roles.images, 'uint8', ['count', ...image])
  const labels = input(roles.labels, 'int64', ['count'])
  const cuts: Cuts = {
    indices: input(cutNames.indices, 'int64', ['steps', batch]),
    crops: input(cutNames.crops, 'int64', ['steps', batch, 2]),
    flips: input(cutNames.flips, 'bool', ['steps', batch]),
  }
  // What is a number or a vector in one step comes as a row a step.
  const rows = [roles.learningRate, ...(roles.gates ? [roles.gates.name] : [])].map((name) => {
    const { dtype, shape } = own.get(name)!
    return input(name, dtype, ['steps', ...shape])
  })
  const sizes = shapeOf(cuts.indices)
  return {
    inputs: [dataset, labels, ...Object.values(cuts), ...rows],
    count: gather(sizes, constant('int64', 0)),
    images: cast(gather(sizes, constant('int64', 1)), 'float32'),
    of: (iteration) => ({
      [roles.images]: cutBatch(dataset, cuts, iteration),
      [roles.labels]: gather(labels, gather(cuts.indices, iteration)),
      ...Object.fromEntries(rows.map((row) => [nameOf(row), gather(row, iteration)])),
    }),
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
 * @param carried output name → the state input that it replaces
 */
export function trainingSteps(
  step: Graph,
  roles: StepRoles,
  carried: Readonly<Record<string, string>>,
  { precision = 'fp32' }: StepsOptions = {},
): TrainingSteps {
  // What a single step does not have: they become values of the loop.
  const images = input('images_per_batch', 'float32', [])
  const scalars = Object.keys(scalingState(precision)).map((name) => input(name, 'float32', []))
  const [lossScale] = scalars
  const open = graph(step.name, [...step.inputs, images, ...(lossScale ? [lossScale] : [])], step.outputs)
  const lowered = lowerNetwork(open, { precision, images, ...(lossScale ? { lossScale } : {}) })
  const { graph: apart, packs } = packState(lowered, carried)
  const body = share(expandPrimitives(apart, portable))

  return rootScope('', () => {
    const source = sourceOf(step, roles)
    const initial = Object.fromEntries([
      ...packs.map((pack) => [pack.name, packed(pack)]),
      ...scalars.map((value) => [nameOf(value), value]),
    ]) as Named
    const { carried: last, stacked } = loop(source.count, initial, (iteration, state) => {
      const batch = rootScope('batch', () => source.of(iteration))
      const outputs = applied(body, { ...state, ...batch, [nameOf(images)]: source.images })
      const next = Object.fromEntries(packs.map(({ name }) => [name, outputs.get(`${name}${NEXT}`)!]))
      return {
        carried: lossScale ? rootScope('loss_scale', () => guarded(state, next)) : next,
        stacked: {
          [roles.loss]: outputs.get(roles.loss)!,
          [roles.correct]: outputs.get(roles.correct)!,
          ...(lossScale ? { [LOSS_SCALES]: state[lossScaling.scale]! } : {}),
        },
      }
    })
    const results = new Map([
      ...Object.entries(stacked),
      ...packs.flatMap((pack) => [...unpacked(pack, last[pack.name]!)]),
      ...scalars.map((value): [string, Value] => [`${nameOf(value)}${NEXT}`, last[nameOf(value)]!]),
    ])
    const fed = new Set(source.inputs.map(nameOf))
    const kept = step.inputs.filter((value) => !fed.has(nameOf(value)))
    const added = scalars.map((value) => [`${nameOf(value)}${NEXT}`, nameOf(value)])
    return {
      graph: graph(step.name, [...source.inputs, ...kept, ...scalars], results),
      carried: { ...carried, ...Object.fromEntries(added) },
    }
  })
}

/**
 * Puts the evaluation of batch after batch into a loop.
 * @param network an inference graph with an input of images and an output `logits` [batch, classes]; its parameters are inputs
 * @returns a graph that takes the data set uint8 [count, C, H, W] by the name of the images, `indices` int64 [steps, batch]
 *   and the parameters, and gives `logits` [steps, batch, classes]
 */
export function evaluationSteps(network: Graph, images: string): Graph {
  const lowered = lowerNetwork(network, {})
  const { shape } = byName(network).get(images)!
  const dataset = input(images, 'uint8', ['count', ...shape.slice(1)])
  const indices = input(cutNames.indices, 'int64', ['steps', shape[0]!])
  const logits = rootScope('', () => {
    const count = gather(shapeOf(indices), constant('int64', 0))
    const { stacked } = loop(count, {}, (iteration) => {
      const batch = gather(dataset, gather(indices, iteration))
      return { carried: {}, stacked: { [LOGITS]: applied(lowered, { [images]: batch }).get(LOGITS)! } }
    })
    return stacked[LOGITS]!
  })
  const parameters = network.inputs.filter((value) => nameOf(value) !== images)
  return graph(network.name, [dataset, indices, ...parameters], { [LOGITS]: logits })
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
