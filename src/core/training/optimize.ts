// From the gradient of each weight to its next value: one call of the optimizer's function a weight, and the state that it keeps.

import { composite } from '../graph/composite.js'
import { ancestors } from '../graph/graph.js'
import { TRAINING_DOMAIN } from '../graph/operator.js'
import {
  apply,
  constant,
  input,
  nameOf,
  type Parameter,
  parameter,
  rootScope,
  scope,
  type Value,
} from '../graph/value.js'
import { add, cast, div, min, mul, reduceSumSquare, sqrt } from '../ops/index.js'
import type { Named, Optimizer } from '../optimizers/optimizer.js'
import type { GroupSettings } from './groups.js'
import { LEARNING_RATE } from './signature.js'

/** State beside the weights: how many updates there were. */
export const UPDATES = 'optimizer.step'
const CLIP_NORM = 'clip_norm'
const WEIGHT_DECAY = 'weight_decay'

export interface OptimizeOptions {
  readonly optimizer: Optimizer
  readonly settings: ReadonlyMap<string, GroupSettings>
  /** The norm of all gradients together is held to it (Pascanu et al. 2013). */
  readonly clipNorm?: number | undefined
}

export interface Optimized {
  /** Each weight and each state tensor, and what replaces it. */
  readonly next: ReadonlyMap<Parameter, Value>
  /** Inputs, float32 []. */
  readonly hyperparameters: readonly Value[]
  /** What each is unless something else is fed; null: it has to be fed. */
  readonly defaults: Readonly<Record<string, number | null>>
  /** How many updates there were, float32 []; among the states where the optimizer asks for it. */
  readonly count: { readonly state: Parameter; readonly next: Value }
}

const axesOf = ({ shape }: Value) => shape.map((_, axis) => axis)

/** A state tensor, named as it stands in files. */
export const stateLike = (name: string, { dtype, shape }: Value, value: number): Parameter =>
  rootScope('', () =>
    parameter(name, shape as readonly number[], { kind: 'constant', value }, { trainable: false, dtype }),
  )

/** The gradients, all multiplied by min(1, most/norm) with the norm of all of them together (torch.nn.utils.clip_grad_norm_). */
function clipped(gradients: ReadonlyMap<Parameter, Value>, most: Value): ReadonlyMap<Parameter, Value> {
  const factor = rootScope('clip', () => {
    const squares = [...gradients.values()].map((gradient) =>
      cast(reduceSumSquare(gradient, axesOf(gradient), { keepdims: 0 }), 'float32'),
    )
    const norm = scope('norm', () => sqrt(squares.reduce((a, b) => add(a, b))))
    return scope('factor', () => min(div(most, add(norm, 1e-6)), 1))
  })
  return new Map(
    [...gradients].map(([weight, gradient]) => [
      weight,
      rootScope(`update/${weight.origin.name}/clip`, () => mul(gradient, as(factor, gradient))),
    ]),
  )
}

const as = (scalar: Value, { dtype }: Value): Value => (scalar.dtype === dtype ? scalar : cast(scalar, dtype))

export function optimized(
  gradients: ReadonlyMap<Parameter, Value>,
  { optimizer, settings, clipNorm }: OptimizeOptions,
): Optimized {
  const factors = [...settings.values()].flatMap(({ factor }) => (factor === undefined ? [] : [[factor, 1] as const]))
  const defaults: Record<string, number | null> = {
    [LEARNING_RATE]: null,
    ...optimizer.hyperparameters,
    ...Object.fromEntries(factors),
    ...(clipNorm === undefined ? {} : { [CLIP_NORM]: clipNorm }),
  }
  const scalars = Object.fromEntries(Object.keys(defaults).map((name) => [name, input(name, 'float32', [])]))
  const updates = stateLike(UPDATES, constant('float32', 0), 0)
  const count = rootScope('update/count', () => add(updates, 1))
  const scaled = scaler(scalars)
  const next = new Map<Parameter, Value>()
  const limited = clipNorm === undefined ? gradients : clipped(gradients, scalars[CLIP_NORM]!)
  for (const [weight, gradient] of limited) {
    const own = { ...scaled(settings.get(weight.origin.name)), step: count }
    for (const [state, value] of updated(weight, gradient, optimizer, own)) next.set(state, value)
  }
  const used = new Set(ancestors(next.values()).flatMap(({ inputs }) => inputs))
  if (used.has(updates)) next.set(updates, count)
  return { next, hyperparameters: Object.values(scalars), defaults, count: { state: updates, next: count } }
}

/** The hyperparameters of a weight: those of all, or multiplied by the factors of its group, once for each factor. */
function scaler(scalars: Named): (settings: GroupSettings | undefined) => Named {
  const known = new Map<string, Value>()
  const times = (name: string, factor: number): Value => {
    const key = `${name}×${factor}`
    const value =
      known.get(key) ?? (factor === 1 ? scalars[name]! : rootScope(`update/${name}`, () => mul(scalars[name]!, factor)))
    known.set(key, value)
    return value
  }
  const rate = (learningRate: number, factor: string | undefined): Value => {
    const scaled = times(LEARNING_RATE, learningRate)
    if (factor === undefined) return scaled
    const key = `${LEARNING_RATE}×${learningRate}×${factor}`
    const value = known.get(key) ?? rootScope(`update/${factor}`, () => mul(scaled, scalars[factor]!))
    known.set(key, value)
    return value
  }
  return (
    { learningRate, weightDecay, factor }: GroupSettings = { learningRate: 1, weightDecay: 1, frozen: false },
  ) => ({
    ...scalars,
    [LEARNING_RATE]: rate(learningRate, factor),
    ...(scalars[WEIGHT_DECAY] ? { [WEIGHT_DECAY]: times(WEIGHT_DECAY, weightDecay) } : {}),
  })
}

/** One weight's update and that of its state, as one node. */
function updated(w: Parameter, gradient: Value, optimizer: Optimizer, scalars: Named): [Parameter, Value][] {
  const { name } = w.origin
  return rootScope(`update/${name}`, () => {
    const kept = Object.entries(optimizer.state(w))
    const states = kept.map(([role, first]) => stateLike(`${name}.${role}`, w, first))
    const operands: [string, Value][] = [
      ['w', w],
      ['gradient', gradient],
      ...states.map((state, i): [string, Value] => [`w.${kept[i]![0]}`, state]),
      ...Object.entries(scalars).map(([scalar, value]): [string, Value] => [scalar, as(value, w)]),
    ]
    const body = (inputs: Named): readonly Value[] => {
      const state = Object.fromEntries(kept.map(([role]) => [role, inputs[`w.${role}`]!]))
      const results = optimizer.update(inputs.w!, inputs.gradient!, state, inputs)
      return [results.w, ...kept.map(([role]) => results[role]!)]
    }
    const needed = neededBy(body, operands)
    const call = composite({
      name: optimizer.name,
      domain: TRAINING_DOMAIN,
      since: 1,
      doc: {
        inputs: needed.map(([operand]) => operand),
        outputs: ['next_w', ...kept.map(([role]) => `next_w.${role}`)],
        text: optimizer.text,
      },
      attributes: {},
      arity: [needed.length, needed.length],
      gradient: { forbidden: 'an optimizer step is not differentiated; take gradients of the loss' },
      body: (values) => body(Object.fromEntries(needed.map(([operand], i) => [operand, values[i]!]))),
      samples: [],
    })
    const outputs = apply(
      call,
      needed.map(([, value]) => value),
    )
    return [w, ...states].map((parameter, i): [Parameter, Value] => [parameter, outputs[i]!])
  })
}

/** Those of the operands that the body uses. */
function neededBy(body: (inputs: Named) => readonly Value[], operands: readonly [string, Value][]): [string, Value][] {
  const stand = Object.fromEntries(operands.map(([name, { dtype, shape }]) => [name, input(name, dtype, shape)]))
  const outputs = body(stand)
  const used = new Set(
    [...ancestors(outputs).flatMap(({ inputs }) => inputs), ...outputs].map((value) => value && nameOf(value)),
  )
  return operands.filter(([name]) => used.has(name))
}
