// Every loss with every optimizer: three steps in float64 are PyTorch's (test/fixtures/pytorch/write.py).
import { describe, expect, it } from 'vitest'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import {
  batchesOf,
  expectTrained,
  firstState,
  fixture,
  losses,
  optimizers,
  stepOf,
  type Trained,
  trainOn,
} from '../../support/pytorch.js'

/** PyTorch's numbers have ten digits. */
const TOLERANCE = 1e-9

describe.each(Object.keys(losses))('%s', (loss) => {
  const expected = fixture<Readonly<Record<string, Trained>>>(loss)

  it.each(Object.keys(optimizers))('%s', async (optimizer) => {
    const step = stepOf({ loss, optimizer: optimizers[optimizer]! })
    const run = await trainOn(step, firstState(step, loss), batchesOf(step, loss), (feeds) =>
      evaluate(step.graph, feeds),
    )
    expectTrained(run, expected[optimizer]!, TOLERANCE)
    // The weights of one step are not those of the next.
    const [first, , third] = expected[optimizer]!.weights['out.weight']!
    expect(first).not.toEqual(third)
  })
})
