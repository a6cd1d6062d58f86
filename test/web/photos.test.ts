// Training in a page on image files, which its worker decodes, beside Node, which decodes them by sharp.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FitEvent, fit, readDataset, readTrainableModel } from 'rdm-onnx'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasBrowser } from '../support/browser.js'
import { lossesOf, openTrainingPage, smallNetwork } from './support.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-photos-'))
afterAll(() => rmSync(root, { recursive: true }))

const kinds = ['dark', 'light']
const each = 10
const path = (kind: string, i: number) => join(root, 'photos', kind, `${i}.png`)

// Of one colour each: whatever the filter that makes them smaller, pixels are the same.
beforeAll(async () => {
  for (const [label, kind] of kinds.entries()) {
    mkdirSync(join(root, 'photos', kind), { recursive: true })
    for (let i = 0; i < each; i++) {
      const [r, g, b] = [10, 20, 30].map((value) => value + 100 * label + 7 * i)
      const background = { r: r!, g: g!, b: b! }
      await sharp({ create: { width: 12 + i, height: 10, channels: 3, background } })
        .png()
        .toFile(path(kind, i))
    }
  }
})

describe.runIf(hasBrowser)('a page', () => {
  it('trains on image files to the losses of Node', async () => {
    const model = smallNetwork({ imageSize: 8, labels: 2, classes: kinds })
    const config = { steps: 3, batchSize: 8 }
    const { run } = await openTrainingPage()
    const files = kinds.flatMap((kind) =>
      Array.from({ length: each }, (_, i) => ({
        path: `photos/${kind}/${i}.png`,
        content: readFileSync(path(kind, i)).toString('base64'),
      })),
    )
    const inPage = await run<{ events: FitEvent[]; reason: string }>(
      `const given = files.map(({ path, content }) => ({ path, content: new Blob([bytesOf(content)]) }))
      const events = []
      const data = await web.readDataset(given)
      const { reason } = await web.fit({ model, data, config, onEvent: (e) => events.push(e) }).result
      return { events, reason }`,
      { model, files, config },
    )
    const events: FitEvent[] = []
    await fit({
      model: readTrainableModel(model, 'the model'),
      data: await readDataset(join(root, 'photos')),
      out: join(root, 'run'),
      config: { ...config, threads: 1, target: 'portable' },
      onEvent: (event) => events.push(event),
    })
    expect(inPage.reason).toBe('steps')
    expect(lossesOf(inPage.events)).toHaveLength(3)
    const differences = lossesOf(inPage.events).map((loss, i) => Math.abs(loss - lossesOf(events)[i]!))
    expect(Math.max(...differences)).toBeLessThan(1e-4)
  })
})
