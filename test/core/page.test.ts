// The lowest floor in a page: bundled for a browser it asks for nothing of Node, and Chromium derives the step that Node does.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'rolldown'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as core from '../../src/core/index.js'
import { version } from '../../src/core/version.js'
import { hasBrowser, openPage } from '../support/browser.js'

const root = join(import.meta.dirname, '..', '..')
const folder = mkdtempSync(join(tmpdir(), 'rdm-core-'))
afterAll(() => rmSync(folder, { recursive: true }))

const asked: string[] = []
const bundle = (file: string, minify: boolean) =>
  build({
    input: join(root, 'src', 'core', 'index.ts'),
    output: { file: join(folder, file), format: 'esm', minify },
    resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
    platform: 'browser',
    logLevel: 'silent',
    external: (id) => {
      if (/^node:|^(fs|path|crypto|os|util|url|worker_threads)$/.test(id)) asked.push(id)
      return false
    },
  })
beforeAll(async () => {
  await bundle('core.js', false)
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>core</title>')
})

/** Written so that it runs in a page as it stands. */
function exported({
  input,
  normalizePixels,
  conv2d,
  batchNorm,
  relu,
  globalAveragePool,
  flatten,
  linear,
  graph,
  ...rest
}: typeof core) {
  const images = input('images', 'uint8', ['batch', 3, 8, 8])
  const pixels = normalizePixels(images, { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] })
  const features = relu(batchNorm(conv2d(pixels, 'stem', { channels: 4, kernel: 3 }), 'stem.bn'))
  const logits = linear(flatten(globalAveragePool(features)), 'classifier', 10)
  const recipe = {
    epochs: 1,
    batchSize: 4,
    learningRate: [[0, 0.1] as [number, number]],
    momentum: 0.9,
    weightDecay: 1e-4,
    nesterov: false,
    augment: false,
  }
  return rest.exportModel(graph('tiny', [images], { logits }), { recipe, seed: 1 })
}

describe('the lowest floor', () => {
  it('bundled for a browser, asks for no module of Node', () => {
    const text = readFileSync(join(folder, 'core.js'), 'utf8')
    expect(asked).toEqual([])
    expect(text).not.toMatch(/(from|import|require)[\s(]*["']node:/)
    expect(text.length).toBeGreaterThan(100_000)
  })

  it('is small to load', async () => {
    await bundle('core.min.js', true)
    // All of it; seen are 147 KB by gzip, 125 KB by brotli.
    expect(gzipSync(readFileSync(join(folder, 'core.min.js')), { level: 9 }).length).toBeLessThan(160_000)
  })

  it.runIf(hasBrowser)('derives in Chromium the step that it derives here, to the byte', async () => {
    const { page, messages, close } = await openPage('index.html', folder)
    try {
      const bytes = await page.evaluate(`(async () => {
        const exported = ${exported.toString()}
        return [...exported(await import('/core.js'))]
      })()`)
      expect(messages).toEqual([])
      expect(Uint8Array.from(bytes as number[])).toEqual(Uint8Array.from(exported(core)))
    } finally {
      await close()
    }
  })
})

it('the version in files is that of the package', () => {
  expect(version).toBe((JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version)
})
