// The probe of a machine's block: what it finds is what ONNX Runtime does.
import { describe, expect, it } from 'vitest'
// The compiled form: sessions run in a thread.
import { probeBlock } from '../../../dist/src/driver/targets/ort-cpu/probe.js'
import { evaluate } from '../../../src/core/graph/evaluate.js'
import { graph } from '../../../src/core/graph/graph.js'
import { input } from '../../../src/core/graph/value.js'
import { nchwc } from '../../../src/driver/targets/ort-cpu/nchwc.js'
import { byName, drawnFor } from '../../support/blocks.js'
import { modelOf, openModel } from '../../support/runtime.js'

describe('the block of this machine', () => {
  it('is a divisor of 64, the same with any number of threads', async () => {
    const block = await probeBlock({})
    // Some processors have no blocked kernels.
    if (block !== undefined) expect([2, 4, 8, 16, 32, 64]).toContain(block)
    expect(await probeBlock({ threads: 1 })).toBe(block)
    expect(await probeBlock({ threads: 2 })).toBe(block)
  })

  it('is how the runtime orders channels, and no other is', async () => {
    const block = await probeBlock({ threads: 1 })
    const x = input('x', 'float32', [2, 64, 3, 2])
    const feeds = byName(drawnFor([x], 'probe'))
    const run = async (width: number) => {
      const source = graph('g', [x], { y: nchwc(width).reorderInput(x) })
      const model = await openModel(modelOf(source, 'inline'))
      const actual = await model.run(feeds)
      await model.close()
      return { actual: [...actual.get('y')!.data], expected: [...evaluate(source, feeds).get('y')!.data] }
    }
    for (const width of [8, 16]) {
      if (block === undefined) continue
      const { actual, expected } = await run(width)
      if (width === block) expect(actual).toEqual(expected)
      else expect(actual).not.toEqual(expected)
    }
  })
})

describe('a runtime that refuses', () => {
  it('has no block', async () => {
    expect(await probeBlock({ provider: 'elsewhere' as never })).toBeUndefined()
  })

  it('CUDA has none where it is not there', async () => {
    const block = await probeBlock({ threads: 1 })
    // Where it is, what it lacks runs on the CPU.
    expect([undefined, block]).toContain(await probeBlock({ provider: 'cuda' }))
  })
})
