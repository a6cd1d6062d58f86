// What a loss is: a function from a network's outputs and the targets to a scalar and named metrics.

import type { Shape } from '../graph/shape.js'
import { type DType, isFloat } from '../graph/tensor.js'
import { formatType, GraphError, input, type Value } from '../graph/value.js'
import type { MetricInfo, TargetInfo } from '../training/signature.js'

/** A metric, and the value of the step that it is made from: a scalar. */
export type Metric = Omit<MetricInfo, 'output'> & { readonly value: Value; readonly output?: string }

/** What a loss gives: what is minimized, and what is counted beside it. */
export interface LossValues {
  /** Scalar: the mean over the batch. */
  readonly loss: Value
  readonly metrics?: readonly Metric[]
}

/** What a loss is made from: the outputs of the network, and the targets that it asks for. */
export interface LossContext {
  /** All outputs of the network. */
  readonly outputs: ReadonlyMap<string, Value>
  /** An output of the network; unless named the one called `logits`, or the only floating-point one. */
  output(name?: string): Value
  /** What an output ends with: a softmax over the axis of the classes, or a sigmoid; none where the network does not show it. */
  activation(output: Value, axis?: number): Activation | undefined
  /**
   * A target: an input of the step, fed from a column of the data set. Asked for twice, it is the same.
   * @param classes for whole numbers from 0, below it
   * @param ignored another one that does not count
   */
  target(name: string, dtype: DType, shape: Shape, classes?: number, ignored?: number): Value
}

/** What makes probabilities of logits. */
export type Activation = 'softmax' | 'sigmoid'

/** What an output ends with; a softmax with its axis, counted from the first. */
export interface FoundActivation {
  readonly kind: Activation
  readonly axis?: number
}

/** What training minimizes, made from the network's outputs and the targets; differentiable in the outputs. */
export type Loss = (context: LossContext) => LossValues

/** A loss applied to outputs, and the targets that it asked for. */
export interface AppliedLoss extends LossValues {
  readonly metrics: readonly Metric[]
  readonly targets: ReadonlyMap<Value, TargetInfo>
}

/**
 * @param activations what outputs end with
 * @throws GraphError for an output that is not there, a target that is asked for in two types, or a loss that is no scalar
 */
export function applyLoss(
  loss: Loss,
  outputs: ReadonlyMap<string, Value>,
  activations: ReadonlyMap<Value, FoundActivation> = new Map(),
): AppliedLoss {
  const targets = new Map<string, { readonly value: Value; readonly info: TargetInfo }>()
  const { metrics = [], ...values } = loss({
    outputs,
    output: (name) => (name === undefined ? usualOutput(outputs) : namedOutput(outputs, name)),
    activation(output, axis = 1) {
      const found = activations.get(output)
      return found?.axis === undefined || found.axis === axis ? found?.kind : undefined
    },
    target(name, dtype, shape, classes, ignored) {
      const known = targets.get(name)
      const value = known?.value ?? input(name, dtype, shape)
      if (known && formatType(value) !== formatType({ dtype, shape }))
        throw new GraphError(
          `the target '${name}' is asked for as ${formatType(value)} and as ${formatType({ dtype, shape })}`,
        )
      const labels = {
        ...(classes === undefined ? {} : { classes }),
        ...(ignored === undefined ? {} : { ignored }),
      }
      const info = { name, dtype, shape: [...shape], ...labels }
      targets.set(name, known ?? { value, info })
      return value
    },
  })
  for (const value of [values.loss, ...metrics.map((metric) => metric.value)]) {
    if (value.shape.length > 0) throw new GraphError(`a loss and its metrics are scalars, got ${formatType(value)}`)
  }
  return { ...values, metrics, targets: new Map([...targets.values()].map(({ value, info }) => [value, info])) }
}

const listed = (outputs: ReadonlyMap<string, Value>): string =>
  [...outputs.keys()].map((name) => `'${name}'`).join(', ')

function namedOutput(outputs: ReadonlyMap<string, Value>, name: string): Value {
  const value = outputs.get(name)
  if (!value) throw new GraphError(`the network has no output '${name}' for a loss; it has ${listed(outputs)}`)
  return value
}

function usualOutput(outputs: ReadonlyMap<string, Value>): Value {
  const floats = [...outputs].filter(([, { dtype }]) => isFloat(dtype))
  const value = outputs.get('logits') ?? (floats.length === 1 ? floats[0]![1] : undefined)
  if (!value)
    throw new GraphError(
      `the network has no output 'logits' and not one that a loss is sure to mean; name one of ${listed(outputs)}`,
    )
  return value
}
