// Training by WebGPU in Chromium, on its adapter in software, beside WebAssembly.
import type { FitEvent } from 'rdm-onnx'
import { describe, expect, it } from 'vitest'
import { decodeCheckpoint } from '../../src/driver/run/checkpoint.js'
import { hasBrowser } from '../support/browser.js'
import { lossesOf, openTrainingPage, smallNetwork, withAdam } from './support.js'

const networks = {
  SGD: { model: smallNetwork({ imageSize: 8 }), config: {} },
  'AdamW with gradients of two batches': {
    model: smallNetwork({ imageSize: 8, ...withAdam }),
    config: { accumulate: 2, learningRate: [[0, 0.002]] },
  },
}

/** In the page: images of 8×8 pixels cut out of larger ones, four of them in the last batch; three steps. */
const train = `
  const small = ({ images, labels, classes, count }) => {
    const cut = new Uint8Array(count * 3 * 64)
    for (let i = 0; i < cut.length; i++) {
      const [x, y, plane] = [i % 8, (i >> 3) % 8, Math.floor(i / 64)]
      cut[i] = images[plane * 1024 + (12 + y) * 32 + 12 + x]
    }
    return { images: cut, labels, classes, count, channels: 3, height: 8, width: 8 }
  }
  const { train, test } = web.synthesize({ train: 20, test: 8, seed: 3 })
  const data = { train: small(train), test: small(test) }
  const events = []
  const options = { model, data, config: { ...config, batchSize: 8, steps: 3 }, provider }
  const { checkpoint, reason } = await web.fit({ ...options, onEvent: (e) => events.push(e) }).result
  return { checkpoint, reason, events }`

interface Trained {
  readonly checkpoint: Uint8Array
  readonly reason: string
  readonly events: readonly FitEvent[]
}

describe.runIf(hasBrowser)('WebGPU', () => {
  it.each(Object.entries(networks))('%s: three steps are those of WebAssembly within 1e-3', async (_, given) => {
    const { run } = await openTrainingPage()
    const [gpu, wasm] = [
      await run<Trained>(train, { ...given, provider: 'webgpu' }),
      await run<Trained>(train, { ...given, provider: 'wasm' }),
    ]
    expect(lossesOf(gpu.events)).toHaveLength(3)
    lossesOf(gpu.events).forEach((loss, i) => {
      expect(Math.abs(loss - lossesOf(wasm.events)[i]!)).toBeLessThan(1e-3)
    })
    const [one, other] = [gpu, wasm].map(({ checkpoint }) => decodeCheckpoint(checkpoint, 'a checkpoint').state)
    expect(Object.keys(one!)).toEqual(Object.keys(other!))
    for (const [name, { data }] of Object.entries(one!))
      data.forEach((value, i) => {
        expect(Math.abs(Number(value) - Number(other![name]!.data[i])), name).toBeLessThan(1e-3)
      })
  })

  it('that the browser does not have is said in a line', async () => {
    const { run } = await openTrainingPage({ args: [] })
    const said = await run<string>(
      `return web.openSession(model, { provider: 'webgpu' }).then(() => 'nothing', (error) => error.name + ': ' + error.message)`,
      { model: networks.SGD.model },
    )
    expect(said).toBe("UserError: this browser offers no GPU by WebGPU: take the provider 'wasm'")
  })
})
