// Training steps in a row, and how two such rows are compared.
import { expect } from 'vitest'
import type { TrainingStep } from '../../src/core/training/step.js'
import { disturbed, tinyBatch } from './networks.js'
import { expectClose, type Tensors } from './runtime.js'

const STEPS = 3

/** The state after a step: what each output replaces. */
const carried = ({ updates }: TrainingStep, outputs: Tensors): Tensors =>
  new Map([...updates].map(([name, output]) => [name, outputs.get(output)!]))

export const batchOf = ({ graph }: TrainingStep, index: number) => tinyBatch(graph, 100 + index)

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
    state = carried(step, outputs)
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
