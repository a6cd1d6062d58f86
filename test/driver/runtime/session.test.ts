// Sessions in their worker thread: steps that carry state, batches of any size, and every way to fail.
import { openSession, openTrainingSession, portable, UserError } from 'rdm-onnx'
import { describe, expect, it, onTestFinished } from 'vitest'
import { float32, tinyModel } from '../../support/tinyModel.js'

const model = tinyModel()
const stepBytes = model.step(portable)

const feeds = (count: number, first = 0) => ({
  images: {
    dtype: 'uint8' as const,
    shape: [count, 3, 8, 8],
    data: Uint8Array.from({ length: count * 192 }, (_, i) => (i * 37 + first) % 256),
  },
  labels: {
    dtype: 'int64' as const,
    shape: [count],
    data: BigInt64Array.from({ length: count }, (_, i) => BigInt(i % 10)),
  },
  learning_rate: float32([], [0.1]),
})

async function training(options: Partial<Parameters<typeof openTrainingSession>[0]> = {}) {
  const { state, signature } = model
  const carried = signature.updates
  const models = () => stepBytes
  const session = await openTrainingSession({ models, batch: 16, state, carried, threads: 1, ...options })
  onTestFinished(() => session.close())
  return session
}

describe('openTrainingSession', () => {
  it('carries the state from step to step, whatever the size of the batch', async () => {
    const session = await training()
    const losses: number[] = []
    for (const count of [16, 16, 5, 16]) {
      const outputs = await session.step(feeds(count), count)
      expect(Object.keys(outputs).sort()).toEqual(['correct', 'loss'])
      expect(outputs.loss).toMatchObject({ dtype: 'float32', shape: [] })
      losses.push(Number(outputs.loss!.data[0]))
    }
    const state = await session.readState()
    expect(losses[3]).toBeLessThan(losses[0]!)
    expect(Object.keys(state).sort()).toEqual(Object.keys(model.state).sort())

    // The same by a plain session that is given the state anew each time.
    const plain = await openSession(stepBytes, { threads: 1 })
    onTestFinished(() => plain.close())
    let carried = model.state
    for (const [i, count] of [16, 16, 5, 16].entries()) {
      const outputs = await plain.run({ ...feeds(count), ...carried })
      expect(Number(outputs.loss!.data[0])).toBe(losses[i])
      carried = Object.fromEntries(
        Object.entries(model.signature.updates).map(([output, name]) => [name, outputs[output]!]),
      )
    }
    expect(state).toEqual(carried)
  })

  it('computes the same where the models of other batch sizes stay open', async () => {
    const written = new Map<number, Uint8Array>()
    const models = (batch: number) => {
      const bytes = written.get(batch) ?? model.step(portable, batch)
      written.set(batch, bytes)
      return bytes
    }
    const results = await Promise.all(
      [true, false].map(async (keepModels) => {
        const session = await training({ models, keepModels })
        for (const count of [16, 5, 16, 7, 5, 16]) await session.step(feeds(count), count)
        return session.readState()
      }),
    )
    expect(results[0]).toEqual(results[1])
    expect(results[0]).not.toEqual(model.state)
  })

  it('leaves the arrays that it is given usable, and takes views of larger ones', async () => {
    const session = await training()
    const whole = feeds(20)
    const view = { ...feeds(16), images: { ...feeds(16).images, data: whole.images.data.subarray(192, 17 * 192) } }
    const first = await session.step(view, 16)
    expect(view.images.data).toHaveLength(16 * 192)
    expect(model.state.w!.data).toHaveLength(1920)
    expect(stepBytes.length).toBeGreaterThan(0)
    const copied = await training()
    const images = { ...view.images, data: whole.images.data.slice(192, 17 * 192) }
    const second = await copied.step({ ...view, images }, 16)
    expect(second).toEqual(first)
  })

  it('keeps the order of requests that are made at once', async () => {
    const session = await training()
    const [, before, , after] = await Promise.all([
      session.step(feeds(16), 16),
      session.readState(),
      session.step(feeds(16), 16),
      session.readState(),
    ])
    expect(before).not.toEqual(after)
    const other = await training()
    await other.step(feeds(16), 16)
    expect(await other.readState()).toEqual(before)
  })

  it('keeps its state when a step fails', async () => {
    const session = await training()
    await session.step(feeds(16), 16)
    const before = await session.readState()
    await expect(session.step({ ...feeds(16), images: feeds(3).images }, 16)).rejects.toThrow(
      /^ONNX Runtime cannot run the model: /,
    )
    await expect(session.step({}, 16)).rejects.toThrow(/^ONNX Runtime cannot run the model: input 'images' is missing/)
    expect(await session.readState()).toEqual(before)
  })

  it('wants state and carried outputs that the model has', async () => {
    const { state, signature } = model
    const carried = signature.updates
    await expect(training({ state: { ...state, other: float32([], [0]) } })).rejects.toThrow(
      'the training step has no input for the state tensor "other"',
    )
    await expect(training({ carried: { ...carried, other: 'w' } })).rejects.toThrow(
      'the training step has no output "other"',
    )
    await expect(training({ carried: { ...carried, loss: 'images' } })).rejects.toThrow(
      '"loss" replaces "images", which is no state tensor',
    )
  })
})

describe('openSession', () => {
  it('tells the inputs and outputs', async () => {
    const session = await openSession(model.inference(model.state))
    onTestFinished(() => session.close())
    expect(session.inputs).toEqual([{ name: 'images', dtype: 'uint8', shape: ['batch', 3, 8, 8] }])
    expect(session.outputs.map(({ name }) => name)).toEqual(['logits', 'probabilities'])
  })

  it('refuses what is no model, on one line', async () => {
    const failure = await openSession(new Uint8Array([1, 2, 3])).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(UserError)
    expect(String(failure)).toMatch(/^UserError: ONNX Runtime refuses the model: [^\n]+$/)
  })

  it('says what to install when the provider is not there', async () => {
    const failure = await openSession(stepBytes, { provider: 'cuda' }).then((session) => session.close(), String)
    // Where CUDA is installed there is nothing to say.
    if (failure === undefined) return
    expect(failure).toMatch(
      /^UserError: the execution provider "cuda" is not available: it needs an NVIDIA GPU [^\n]+$/,
    )
  })

  it('rejects what comes after the end', async () => {
    const session = await openSession(model.inference(model.state))
    await session.close()
    await expect(session.run({ images: feeds(1).images })).rejects.toThrow('the session is closed')
  })
})
