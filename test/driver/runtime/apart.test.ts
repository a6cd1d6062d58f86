// Sessions in a process of their own: what a model of others does to the runtime stays there.

import { openSession, openTrainingSession, portable, UserError } from 'rdm-onnx'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { encodeModel } from '../../../src/core/onnx/tensors.js'
import { float32, tinyModel } from '../../support/tinyModel.js'

const int = (name: string) => ({
  name,
  type: { tensorType: { elemType: 7, shape: { dim: [{ dimValue: 1 }] } } },
})
const whole = (value: number | bigint) => ({
  dtype: 'int64' as const,
  shape: [1],
  data: BigInt64Array.of(BigInt(value)),
})

/** y = a / b of whole numbers, where the processor itself refuses the least by −1, which the runtime does not look for. */
const division = encodeModel({
  irVersion: 8,
  opsetImport: [{ version: 17 }],
  graph: {
    name: 'division',
    input: [int('a'), int('b')],
    output: [int('y')],
    node: [{ opType: 'Div', name: 'divide', input: ['a', 'b'], output: ['y'] }],
  },
})

/** Adds a to itself for ever. */
const endless = encodeModel({
  irVersion: 8,
  opsetImport: [{ version: 17 }],
  graph: {
    name: 'endless',
    input: [int('a')],
    output: [int('y')],
    initializer: [{ name: 'go', dataType: 9, rawData: Uint8Array.of(1) }],
    node: [
      {
        opType: 'Loop',
        name: 'loop',
        input: ['', 'go', 'a'],
        output: ['y'],
        attribute: [
          {
            name: 'body',
            type: 5,
            g: {
              name: 'body',
              input: [
                { name: 'i', type: { tensorType: { elemType: 7, shape: {} } } },
                { name: 'more', type: { tensorType: { elemType: 9, shape: {} } } },
                int('before'),
              ],
              output: [{ name: 'still', type: { tensorType: { elemType: 9, shape: {} } } }, int('after')],
              node: [
                { opType: 'Identity', name: 'same', input: ['more'], output: ['still'] },
                { opType: 'Add', name: 'add', input: ['before', 'before'], output: ['after'] },
              ],
            },
          },
        ],
      },
    ],
  },
})

afterEach(() => {
  delete process.env.RDM_RUN_SECONDS
})

async function open(model: Uint8Array) {
  const session = await openSession(model, { threads: 1, apart: true })
  onTestFinished(() => session.close())
  return session
}

describe('a session apart', () => {
  it('steps as one in a thread does, bit for bit', async () => {
    const model = tinyModel()
    const bytes = model.step(portable)
    const images = {
      dtype: 'uint8' as const,
      shape: [16, 3, 8, 8],
      data: Uint8Array.from({ length: 16 * 192 }, (_, i) => (i * 37) % 256),
    }
    const labels = {
      dtype: 'int64' as const,
      shape: [16],
      data: BigInt64Array.from({ length: 16 }, (_, i) => BigInt(i % 10)),
    }
    const states = []
    for (const apart of [false, true]) {
      const { state, signature } = model
      const options = { models: () => bytes, batch: 16, state, carried: signature.updates, threads: 1, apart }
      const session = await openTrainingSession(options)
      onTestFinished(() => session.close())
      for (let i = 0; i < 3; i++) await session.step({ images, labels, learning_rate: float32([], [0.1]) }, 16)
      states.push(await session.readState())
    }
    expect(states[1]).toEqual(states[0])
  })

  it('says what the model needs, and that it is refused, as a thread does', async () => {
    const session = await open(division)
    expect(session.inputs.map(({ name }) => name)).toEqual(['a', 'b'])
    expect((await session.run({ a: whole(7), b: whole(2) })).y!.data).toEqual(BigInt64Array.of(3n))
    await expect(open(Uint8Array.of(1, 2, 3))).rejects.toThrow(/ONNX Runtime refuses the model/)
  })

  it('outlives a crash of the runtime, and says it', async () => {
    const session = await open(division)
    const run = session.run({ a: whole(-(2n ** 63n)), b: whole(-1) })
    await expect(run).rejects.toThrow(UserError)
    await expect(run).rejects.toThrow(/^the process that runs the model ended by SIG\w+: ONNX Runtime does not survive/)
    await expect(session.run({ a: whole(7), b: whole(2) })).rejects.toThrow(UserError)
  })

  it('ends what does not end', async () => {
    process.env.RDM_RUN_SECONDS = '10'
    const session = await open(endless)
    await expect(session.run({ a: whole(1) })).rejects.toThrow(/one run of the model has not ended after 10 seconds/)
    process.env.RDM_RUN_SECONDS = 'soon'
    await expect(open(division)).rejects.toThrow(/RDM_RUN_SECONDS is 'soon'; expected seconds/)
  })
})
