// A sample of an operator record, drawn and put into a graph.
import { gradients } from '../../src/core/autodiff/gradients.js'
import { evaluateValues } from '../../src/core/graph/evaluate.js'
import type { Operator } from '../../src/core/graph/operator.js'
import { isFloat, type Numbers, numbers } from '../../src/core/graph/tensor.js'
import { apply, constantTensor, input, type Value } from '../../src/core/graph/value.js'
import { randomStream } from '../../src/core/random.js'

export interface Trial {
  readonly inputs: readonly (Value | undefined)[]
  readonly outputs: readonly Value[]
  readonly feeds: ReadonlyMap<Value, Numbers>
}

/** Inputs x0, x1, … (constants stay constants), named below `prefix`, and the operator applied to them. */
export function trial(operator: Operator, index: number, replace?: (type: Numbers) => Numbers, prefix = ''): Trial {
  const sample = operator.samples[index]!
  const random = randomStream(7, operator.name, index)
  const feeds = new Map<Value, Numbers>()
  const inputs = sample.inputs.map((drawn, i) => {
    if (!drawn) return undefined
    const tensor = drawn.draw(random)
    if (drawn.constant) return constantTensor(tensor)
    const given = replace ? replace(tensor) : tensor
    const value = input(`${prefix}x${i}`, given.dtype, given.shape)
    feeds.set(value, given)
    return value
  })
  return { inputs, outputs: apply(operator, inputs, sample.attributes ?? {}), feeds }
}

/** Whether the rule of a gradient says more than that nothing flows. */
export const isDifferentiable = ({ gradient }: Operator): boolean =>
  gradient === 'body' || (gradient !== 'zero' && 'rule' in gradient)

/** The gradients of the first output by what flows in, from a drawn gradient `dy`; none where nothing is a float. */
export function gradientTrial(
  { inputs, outputs, feeds }: Trial,
  name: string,
  replace: (type: Numbers) => Numbers,
  prefix = '',
): Pick<Trial, 'outputs' | 'feeds'> {
  const [y] = outputs
  const wrt = inputs.filter((x): x is Value => !!x && feeds.has(x) && isFloat(x.dtype))
  if (wrt.length === 0 || !isFloat(y!.dtype)) return { outputs: [], feeds }
  const seed = input(`${prefix}dy`, y!.dtype, y!.shape)
  const random = randomStream(17, name)
  const { shape, data } = evaluateValues([y!], feeds)[0]!
  const dy = numbers(
    y!.dtype,
    shape,
    data.map(() => random.normal()),
  )
  return { outputs: gradients(y!, wrt, { seed }), feeds: new Map(feeds).set(seed, replace(dy)) }
}

export const rows = (all: readonly Operator[]): { name: string; operator: Operator; index: number }[] =>
  all.flatMap((operator) =>
    operator.samples.map((_, index) => ({ name: `${operator.name} #${index}`, operator, index })),
  )
