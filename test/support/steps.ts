// Training steps in a row, and how two such rows are compared.
import { expect } from 'vitest'
import type { Graph } from '../../src/core/graph/graph.js'
import type { Numbers } from '../../src/core/graph/tensor.js'
import { type SgdOptions, sgd } from '../../src/core/optimizers/index.js'
import { type StepOptions, type TrainingStep, trainingStep } from '../../src/core/training/step.js'
import { disturbed, tinyBatch } from './networks.js'
import { expectClose, type Tensors } from './runtime.js'

const STEPS = 3

/** The step of a classifier by SGD. */
export const sgdStep = (network: Graph, optimizer: SgdOptions = {}, options: StepOptions = {}): TrainingStep =>
  trainingStep(network, { optimizer: sgd(optimizer), ...options })

/** The state after a step: what each output replaces. */
export const stateAfter = ({ signature }: Pick<TrainingStep, 'signature'>, outputs: Tensors): Map<string, Numbers> =>
  new Map(Object.entries(signature.updates).map(([output, name]) => [name, outputs.get(output)!]))

export const batchOf = (step: TrainingStep, index: number) => tinyBatch(step, 100 + index)

/** All outputs of three consecutive steps, each from the state that the one before left. */
export async function train(
  step: TrainingStep,
  run: (feeds: Tensors) => Tensors | Promise<Tensors>,
): Promise<Tensors[]> {
  let state: Tensors = disturbed(step.graph, 5)
  const results: Tensors[] = []
  for (let index = 0; index < STEPS; index++) {
    const outputs = await run(new Map([...state, ...batchOf(step, index)]))
    results.push(outputs)
    state = stateAfter(step, outputs)
  }
  return results
}

export function expectSameTraining(actual: readonly Tensors[], expected: readonly Tensors[], tolerance = 1e-5): void {
  expected.forEach((outputs, index) => {
    expect([...actual[index]!.keys()].sort()).toEqual([...outputs.keys()].sort())
    for (const [name, value] of outputs) {
      // Some gradients are nothing but rounding: a shift before a 1×1 convolution and a batch norm moves nothing. So the
      // floor for momenta is a tenth of the largest that there are here.
      const floor = name.endsWith('.momentum.next') ? 0.05 : 1e-3
      expectClose(actual[index]!.get(name)!, value, `step ${index + 1}, ${name}`, tolerance, floor)
    }
  })
}
