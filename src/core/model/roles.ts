// The roles of a step whose file does not say them: found in its graph. What the network takes are inputs; what feeds R and T of
// one of ONNX's optimizers are the learning rate and the count of updates; the rest has a row for each example and is a target.

import { UserError } from '../errors.js'
import { knownIn } from '../graph/dims.js'
import { evaluateValues } from '../graph/evaluate.js'
import { ancestors, type Graph, graph } from '../graph/graph.js'
import type { Operator, Type } from '../graph/operator.js'
import { type Replace, rewrite } from '../graph/rewrite.js'
import { type Dim, isKnown } from '../graph/shape.js'
import { isFloat, type Tensors } from '../graph/tensor.js'
import {
  apply,
  formatType,
  GraphError,
  input,
  isParameter,
  type Node,
  nameOf,
  nodeOf,
  rootScope,
  scope,
  type Value,
} from '../graph/value.js'
import { hits } from '../losses/crossEntropy.js'
import { shortestFloat } from '../onnx/tensors.js'
import type { ReadTrainingModel } from '../onnx/trainingInfo.js'
import {
  Adagrad,
  Adam,
  ArgMax,
  Cast,
  cast,
  Dropout,
  dropoutMask,
  Equal,
  Momentum,
  mul,
  NegativeLogLikelihoodLoss,
  neverDrops,
  Reshape,
  reshape,
  SEEDS,
  SoftmaxCrossEntropyLoss,
  Squeeze,
  Unsqueeze,
  WeightGradient,
} from '../ops/index.js'
import type { MetricInfo, Roles, TargetInfo } from '../training/signature.js'
import { foundScoring } from './foundScoring.js'
import { paperRecipe, type Recipe } from './recipe.js'

const optimizers: readonly Operator[] = [Momentum, Adagrad, Adam]
const isOptimizer = ({ operator }: Node): boolean => optimizers.includes(operator)

/** Adam's own usual rate (Kingma and Ba 2015); the paper's is for SGD. */
const ADAM_RATE = 1e-3

export interface FoundRoles {
  /** The step with scalar inputs as the driver feeds them, and with the loss among its outputs. */
  readonly step: Graph
  readonly roles: Roles
  readonly recipe: Recipe
  /** The learning rate, where the file fixes it: by the state, which a step may move. */
  readonly rateAt?: (state: Tensors) => number
  /** The loss by itself: from outputs of `network`, its inputs and the targets to the loss and what the metrics are made from. */
  readonly scoring: Graph
  /** What predicts: the inference graph, and more outputs where the loss needs them. */
  readonly network: Graph
}

const namesOf = (values: readonly Value[]): string => values.map((value) => `'${nameOf(value)}'`).join(', ')

/** A value and all that it depends on, but for other outputs of the same nodes. */
const valuesBehind = (value: Value): ReadonlySet<Value> =>
  new Set([value, ...ancestors([value]).flatMap(({ inputs }) => inputs.filter((operand) => operand !== undefined))])

const isScalar = ({ shape }: Value): boolean => shape.length < 2 && shape.every((dim) => dim === 1)

/** What the inputs are that the network itself does not have. */
interface Sorted {
  readonly rate: Value | undefined
  readonly count: Value | undefined
  readonly targets: readonly Value[]
}

function sorted(step: Graph, network: Graph): Sorted {
  const own = step.inputs.filter((value) => !network.inputs.includes(value))
  const updates = step.nodes.filter(isOptimizer)
  const feeding = (place: number, fits: (value: Value) => boolean): readonly Value[] => {
    const behind = updates.map(({ inputs }) => valuesBehind(inputs[place]!))
    return own.filter((value) => isScalar(value) && fits(value) && behind.some((values) => values.has(value)))
  }
  const rates = feeding(0, ({ dtype }) => isFloat(dtype))
  const counts = feeding(1, ({ dtype }) => !isFloat(dtype))
  const isTarget = ({ shape }: Value) => shape.length > 0
  const others = own.filter((value) => !rates.includes(value) && !counts.includes(value))
  const scalars = others.filter((value) => !isTarget(value))
  // Without one of ONNX's optimizers a step is written out, and its one number is its rate.
  const isUsual = (value: Value) => /^(learning_?rate|lr)$/i.test(nameOf(value))
  const said = updates.length > 0 ? [] : scalars.length === 1 ? scalars : scalars.filter(isUsual)
  const candidates = [...rates, ...said.filter(({ dtype }) => isFloat(dtype))]
  if (candidates.length > 1)
    throw new UserError(
      `the training step takes several numbers as its learning rate, ${namesOf(candidates)}; expected one input for all`,
    )
  if (counts.length > 1)
    throw new UserError(
      `the training step takes several counts of updates, ${namesOf(counts)}; expected one input for all`,
    )
  const unknown = scalars.find((value) => !candidates.includes(value))
  if (unknown)
    throw new UserError(
      `the training step has an input '${nameOf(unknown)}' (${formatType(unknown)}) that nothing feeds: it is no learning rate R or update count T of an optimizer, and has no axis for examples; make it an initializer`,
    )
  return { rate: candidates[0], count: counts[0], targets: others.filter(isTarget) }
}

const drops = ({ operator, inputs: [, ratio, training] }: Node): boolean =>
  operator === Dropout && !neverDrops(ratio, training)

/** What a Dropout that drops is where it does not. */
const kept = (network: Graph): Graph =>
  network.nodes.some(drops) ? rewrite(network, (node, [x]) => (drops(node) ? apply(Dropout, [x]) : undefined)) : network

/** The step with its scalars of the types that are fed, one symbol for the batch, and its optimizers written out. */
function prepared(step: Graph, { rate, count, targets }: Sorted, batch: Dim): Graph {
  const leaves = new Map<Value, Value>()
  const added: Value[] = []
  const feed = (value: Value | undefined, dtype: 'float32' | 'int64') => {
    if (!value || (value.dtype === dtype && value.shape.length === 0)) return
    const fed = input(nameOf(value), dtype, [])
    leaves.set(value, shaped(fed, value))
    added.push(fed)
  }
  feed(rate, 'float32')
  feed(count, 'int64')
  for (const value of targets) {
    const [first, ...rest] = value.shape
    if (first !== batch && !isKnown(first!)) leaves.set(value, input(nameOf(value), value.dtype, [batch, ...rest]))
  }
  const body = ({ operator, attributes }: Node, inputs: readonly (Value | undefined)[]) =>
    optimizers.includes(operator) ? operator.body?.(inputs as readonly Value[], attributes as never) : undefined
  return rewrite(step, body, { leaves, inputs: added })
}

/**
 * The step with its dropout drawn from words that are fed: a run that is resumed drops what it would have dropped.
 * @returns the name of the input that takes them, where something is dropped
 */
function seeded(step: Graph): { readonly step: Graph; readonly seeds?: string } {
  const dropouts = step.nodes.filter(drops)
  if (dropouts.length === 0) return { step }
  const taken = new Set([...step.inputs.map(nameOf), ...step.parameters.map(nameOf), ...step.outputs.keys()])
  const name = ['seeds', 'dropout.seeds'].find((free) => !taken.has(free)) ?? 'step.dropout.seeds'
  const seeds = input(name, 'float32', [SEEDS])
  const mask: Replace = (node, [x]) => {
    const layer = dropouts.indexOf(node)
    if (layer < 0) return undefined
    const ratio = node.inputs[1] ? knownIn(node.inputs[1])?.[0] : 0.5
    if (ratio === undefined) throw new GraphError('Dropout: training needs a ratio that is a constant of the graph')
    const drawn = scope('mask', () => dropoutMask(x!, seeds, ratio, layer))
    return [mul(x!, drawn), cast(drawn, 'bool')]
  }
  return { step: rewrite(step, mask, { inputs: [seeds] }), seeds: name }
}

/** One number, in another type and shape. */
function shaped(value: Value, { dtype, shape }: Type): Value {
  const typed = value.dtype === dtype ? value : cast(value, dtype)
  return typed.shape.length === shape.length ? typed : reshape(typed, shape as readonly number[])
}

/** Operators that give the same labels in another shape or type. */
const sameLabels: readonly (Operator | undefined)[] = [Cast, Reshape, Squeeze, Unsqueeze]

/** What a value is in another shape or type. */
function sourceOf(value: Value | undefined): Value | undefined {
  const node = nodeOf(value)
  return node && sameLabels.includes(node.operator) ? sourceOf(node.inputs[0]) : value
}

/** The loss over classes that compares with a target. */
const classLoss = ({ nodes }: Graph, target: Value): Node | undefined =>
  nodes.find(
    ({ operator, inputs }) =>
      (operator === SoftmaxCrossEntropyLoss || operator === NegativeLogLikelihoodLoss) &&
      sourceOf(inputs[1]) === target,
  )

/** How many classes the labels name: what the loss compares with them, or the network's logits, have a number for each. */
function targetInfo(step: Graph, network: Graph, target: Value, { shape }: Type): TargetInfo {
  const info = { name: nameOf(target), dtype: target.dtype, shape: [...shape] }
  if (isFloat(target.dtype)) return info
  const node = classLoss(step, target)
  const logits = shape.length === 1 ? network.outputs.get('logits')?.shape : undefined
  const classes = node ? node.inputs[0]!.shape[1] : logits?.length === 2 ? logits[1] : undefined
  if (classes === undefined || !isKnown(classes)) return info
  const ignored = node?.attributes.ignore_index
  return { ...info, classes, ...(typeof ignored === 'number' ? { ignored } : {}) }
}

/** Whether an output counts the labels that are the largest of the scores. */
const countsRight = (value: Value, targets: readonly Value[]): boolean => {
  const nodes = ancestors([value])
  const compares = nodes.some(
    ({ operator, inputs }) => operator === Equal && inputs.some((operand) => targets.includes(sourceOf(operand)!)),
  )
  return compares && nodes.some(({ operator }) => operator === ArgMax)
}

/** The loss: what the weights are moved against, or what is called so. */
function lossOf({ step, inference: network, losses, updates }: ReadTrainingModel): {
  readonly name: string
  readonly value: Value
} {
  const bound = new Set(updates.values())
  const free = [...step.outputs].filter(([name]) => !bound.has(name))
  const scalars = free.filter(([, value]) => isFloat(value.dtype) && isScalar(value))
  const derived = [...losses].filter(([value]) => isScalar(value))
  const listed = scalars.find(([, value]) => derived.some(([loss]) => loss === value))
  const [name, value] =
    listed ??
    (derived.length === 1 ? ([derived[0]![1], derived[0]![0]] as const) : undefined) ??
    scalars.find(([output]) => output === 'loss') ??
    (scalars.length === 1 ? scalars[0]! : [])
  if (name === undefined || !value)
    throw new UserError(
      `which output of the training step is the loss? It has ${free.map(([output]) => `'${output}'`).join(', ') || 'none'}; expected one called 'loss', a scalar`,
    )
  return { name: apart(name, network), value }
}

/** An output of the step by its name, or by another one where the network has that name. */
const apart = (name: string, { outputs }: Graph): string => (outputs.has(name) ? `step.${name}` : name)

const scalarOf = (dtype: 'float32' | 'int64'): Type => ({ dtype, shape: [] })

/** Metrics among the outputs: counts of right answers, and means that do not come from a gradient. */
function metricsOf(step: Graph, network: Graph, targets: readonly Value[], free: readonly string[]) {
  const learned = after(step, ({ operator }) => operator === WeightGradient)
  const outputs = new Map<string, Value>()
  const metrics: MetricInfo[] = []
  const add = (value: Value, dtype: 'float32' | 'int64', metric: MetricInfo) => {
    if (metrics.some(({ name }) => name === metric.name)) return
    outputs.set(metric.output, shaped(value, scalarOf(dtype)))
    metrics.push(metric)
  }
  for (const name of free) {
    const value = step.outputs.get(name)!
    const output = apart(name, network)
    if (!isScalar(value) || learned.has(value)) continue
    if (isFloat(value.dtype)) add(value, 'float32', { name, kind: 'mean', output })
    else if (countsRight(value, targets)) add(value, 'int64', { name: 'error', kind: 'right', output })
  }
  // A loss over classes says which scores and labels there are.
  const labels = targets.find(({ shape }) => shape.length === 1)
  const scores = labels && classLoss(step, labels)?.inputs[0]
  if (labels && scores?.shape.length === 2) {
    const taken = new Set([...step.outputs.keys(), ...network.outputs.keys(), ...step.inputs.map(nameOf)])
    const output = ['correct', 'step.correct'].find((name) => !taken.has(name))
    const right = rootScope('accuracy', () => hits(scores, shaped(labels, { dtype: 'int64', shape: labels.shape })))
    if (output) add(right, 'int64', { name: 'error', kind: 'right', output })
  }
  return { outputs, metrics }
}

/** All values that a node of some kind leads to. */
function after({ nodes }: Pick<Graph, 'nodes'>, is: (node: Node) => boolean): ReadonlySet<Value> {
  const values = new Set<Value>()
  for (const node of nodes)
    if (is(node) || node.inputs.some((value) => value && values.has(value)))
      for (const value of node.outputs) values.add(value)
  return values
}

/** State that batches move and gradients do not: running statistics. */
function statisticsOf(step: Graph, network: Graph, updates: ReadonlyMap<string, string>): string[] {
  const learned = after(step, ({ operator }) => operator === WeightGradient)
  const seen = after(step, ({ inputs }) => inputs.some((value) => value && network.inputs.includes(value)))
  // Where no gradient is marked, a weight cannot be told from a statistic.
  if (learned.size === 0) return []
  return [...updates].flatMap(([name, output]) => {
    const value = step.outputs.get(output)!
    return seen.has(value) && !learned.has(value) ? [name] : []
  })
}

/** The rate that a file fixes: what R is by the state. Undefined where an input has a part in it. */
function rateBy({ step }: ReadTrainingModel): FoundRoles['rateAt'] {
  const rate = step.nodes.find(isOptimizer)?.inputs[0]
  if (!rate) return undefined
  const behind = [...valuesBehind(rate)]
  if (behind.some(({ origin }) => origin.kind === 'input')) return undefined
  const parameters = behind.filter(isParameter)
  return (state) => {
    const given = parameters.map((value) => [value, state[value.origin.name]!] as const)
    const number = evaluateValues([rate], new Map(given))[0]!.data[0]!
    return rate.dtype === 'float32' ? shortestFloat(number) : number
  }
}

/** How it is trained unless the user says otherwise: a file fixes its rate, or says by its optimizer which would suit. */
function recipeOf({ step, weights }: ReadTrainingModel, rateAt: FoundRoles['rateAt']): Recipe {
  const { epochs, batchSize, augment, learningRate } = paperRecipe
  const fixed = rateAt?.(Object.fromEntries(weights))
  const usual = step.nodes.some(({ operator }) => operator === Adam) ? ADAM_RATE : undefined
  const constant = fixed !== undefined && fixed > 0 ? fixed : usual
  return { epochs, batchSize, learningRate: constant === undefined ? learningRate : [[0, constant]], augment }
}

/**
 * Finds what a step takes and gives, and how its loss is evaluated.
 * @throws UserError naming an input that has no role, or outputs of which none is sure to be the loss
 */
export function findRoles(model: ReadTrainingModel): FoundRoles {
  const { inference: network, step: read, updates } = model
  const batch = network.inputs[0]?.shape[0]
  if (batch === undefined) throw new UserError('the model has no input with an axis for examples; expected one')
  const sort = sorted(read, network)
  const loss = lossOf(model)
  const outputs = new Map([...read.outputs, [loss.name, shaped(loss.value, scalarOf('float32'))]])
  const step = prepared(graph(read.name, read.inputs, outputs), sort, batch)
  const named = new Map(step.inputs.map((value) => [nameOf(value), value]))
  const targets = sort.targets.map((value) => named.get(nameOf(value))!)
  const bound = new Set(updates.values())
  const free = [...step.outputs.keys()].filter((name) => !bound.has(name) && name !== loss.name)
  const found = metricsOf(step, network, targets, free)
  const measured = graph(step.name, step.inputs, new Map([...step.outputs, ...found.outputs]))
  const wanted = new Map([[loss.name, step.outputs.get(loss.name)!], ...found.outputs])
  const { scoring, network: evaluated } = foundScoring(network, measured, targets, loss.name, wanted)
  const { step: whole, seeds } = seeded(measured)
  const roles: Roles = {
    inputs: network.inputs.map((value) => ({ name: nameOf(value), dtype: value.dtype, shape: [...value.shape] })),
    targets: targets.map((value) => targetInfo(read, network, sort.targets[targets.indexOf(value)]!, value)),
    hyperparameters: sort.rate ? { [nameOf(sort.rate)]: null } : {},
    ...(seeds === undefined ? {} : { seeds }),
    ...(sort.count ? { stepCount: nameOf(sort.count) } : {}),
    loss: loss.name,
    metrics: found.metrics.filter(({ output }) => scoring.outputs.has(output)),
    statistics: statisticsOf(whole, network, updates),
  }
  const rateAt = rateBy(model)
  return {
    ...{ step: whole, roles, recipe: recipeOf(model, rateAt), scoring, network: kept(evaluated) },
    ...(rateAt ? { rateAt } : {}),
  }
}
