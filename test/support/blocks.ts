// Blocks of channels: the machine's own, found by asking its ONNX Runtime, and drawn numbers to fill them.
import { probeBlock } from '../../dist/src/driver/targets/ort-cpu/probe.js'
import { type Numbers, numbers } from '../../src/core/graph/tensor.js'
import type { Value } from '../../src/core/graph/value.js'
import { randomStream } from '../../src/core/random.js'

/** Channels in a block on this machine; undefined where its ONNX Runtime has no blocked operators. */
export const machineBlock: number | undefined = await probeBlock({ threads: 1 })

/** Both blocks that processors have: what holds for one must hold for the other, on any machine. */
export const blocks = [8, 16] as const

/** Normal numbers as a float32 runtime holds them, for each value; the same for the same key and place in the list. */
export function drawnFor(values: readonly Value[], key: string): Map<Value, Numbers> {
  return new Map(
    values.map((value, i) => {
      const random = randomStream(41, key, i)
      const shape = value.shape as readonly number[]
      const length = shape.reduce((a, b) => a * b, 1)
      const data = Float64Array.from({ length }, () => Math.fround(random.normal()))
      return [value, numbers(value.dtype, shape, data)]
    }),
  )
}

/** The same numbers by the names of inputs and parameters. */
export const byName = (feeds: ReadonlyMap<Value, Numbers>): Map<string, Numbers> =>
  new Map([...feeds].map(([{ origin }, t]) => ['name' in origin ? origin.name : '', t]))
