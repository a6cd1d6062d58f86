// Composites: operators that others make up. Shape rule, gradient and reference evaluation follow from the body; a record that
// knows a better gradient says it. In a graph and in a file a composite is one node.

import { evaluateValues } from './evaluate.js'
import { type AttributeSpecs, type AttributesOf, type Gradient, type Operator, TRAINING_DOMAIN } from './operator.js'
import type { Numbers } from './tensor.js'
import { constantTensor, type Value } from './value.js'

type Derived = 'infer' | 'evaluate' | 'gradient' | 'body'

/** What a composite of one's own need not say. */
type Usual<S extends AttributeSpecs> = Partial<Pick<Operator<S>, 'domain' | 'since' | 'samples'>>

/** What {@link composite} makes an operator of: its body, and what does not follow from that. */
export interface CompositeRecord<S extends AttributeSpecs>
  extends Omit<Operator<S>, Derived | keyof Usual<S>>,
    Usual<S> {
  /** Throws a GraphError where the operands break a rule that the body does not know of. */
  check?(inputs: readonly Value[], attributes: AttributesOf<S>): void
  /** One Value an output. Optional inputs that are not given are undefined. */
  body(inputs: readonly Value[], attributes: AttributesOf<S>): readonly Value[]
  /** Derived through the body unless given. */
  readonly gradient?: Gradient<AttributesOf<S>>
}

/** An operator with a body, by {@link composite}. */
export interface Composite<S extends AttributeSpecs = AttributeSpecs> extends Operator<S> {
  body(inputs: readonly Value[], attributes: AttributesOf<S>): readonly Value[]
}

/**
 * An operator made of others: types, evaluation and, unless one is given, the gradient follow from its body. Files carry it
 * as a function in the domain `rdm.training` unless the record has another.
 */
export function composite<const S extends AttributeSpecs>({
  check = () => {},
  gradient = 'body',
  ...record
}: CompositeRecord<S>): Composite<S> {
  return {
    domain: TRAINING_DOMAIN,
    since: 1,
    samples: [],
    ...record,
    gradient,
    infer(inputs, attributes) {
      check(inputs, attributes)
      return record.body(inputs, attributes)
    },
    evaluate: (inputs, attributes) => evaluateBody(inputs, (values) => record.body(values, attributes)),
  }
}

/** What a body computes of these numbers. */
export function evaluateBody(
  inputs: readonly (Numbers | undefined)[],
  body: (inputs: readonly Value[]) => readonly Value[],
): readonly Numbers[] {
  const operands = inputs.map((value) => value && constantTensor(value)) as readonly Value[]
  return evaluateValues(body(operands), new Map())
}
