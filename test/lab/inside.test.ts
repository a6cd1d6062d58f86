// The lab's tab Look inside in Chromium: filters and activations of networks, as numbers elsewhere have them.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { LesionReport } from '../../src/cli/paths/lesion.js'
import type { MeasureReport } from '../../src/cli/paths/measure.js'
import { evaluate } from '../../src/core/graph/evaluate.js'
import { type Tensor, tensor } from '../../src/core/graph/tensor.js'
import { readNetwork } from '../../src/core/onnx/network.js'
import { initialize } from '../../src/core/training/initialize.js'
import { synthesize } from '../../src/driver/data/synth.js'
import { run as runCommand } from '../cli/support.js'
import { hasBrowser } from '../support/browser.js'
import { type Lab, openLab } from './support.js'

const folder = mkdtempSync(join(tmpdir(), 'rdm-lab-inside-'))
afterAll(() => rmSync(folder, { recursive: true }))

const foreign = join(import.meta.dirname, '..', 'fixtures', 'networks', 'resnet18.script.onnx')
const trained = join(folder, 'run', 'model.onnx')
const patterns = join(folder, 'patterns')

const file = (page: Page, name: string) => page.getByLabel(name, { exact: true })
/** The brightness of each pixel of each tile of a list, red alone. */
const tilesIn = (page: Page, list: string): Promise<number[][]> =>
  page.evaluate(`Array.from(document.querySelectorAll('[aria-label="${list}"] canvas'), (canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    return Array.from(data).filter((_, i) => i % 4 === 0)
  })`)

/** Numbers as brightnesses from the least to the most. */
function greys(numbers: ArrayLike<number>, least: number, most: number): number[] {
  return Array.from(numbers, (value) => (255 * (value - least)) / (most - least))
}

function expectClose(found: readonly number[], wanted: readonly number[]): void {
  expect(found.length).toBe(wanted.length)
  // Half a step of rounding, and float32 beside float64.
  expect(Math.max(...found.map((value, i) => Math.abs(value - wanted[i]!)))).toBeLessThan(0.51)
}

/** What a value inside a file is of an image, in float64. */
function inside(bytes: Uint8Array, name: string, image: Tensor): Float64Array {
  const graph = readNetwork(bytes, { inner: [name] })
  return Float64Array.from(evaluate(graph, new Map([['images', image]])).get(name)!.data)
}

describe.runIf(hasBrowser)('looking inside', () => {
  let lab: Lab
  let opened: Page[] = []
  beforeAll(async () => {
    const ok = (command: string, args: readonly string[]) => {
      const { code, err } = runCommand(command, args)
      expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' })
    }
    ok('rdm-data', ['synth', patterns, '--train', '200', '--test', '60'])
    const untrained = join(folder, 'untrained.onnx')
    ok('rdm-export', ['--blocks', '2', '--widths', '6', '--functions', '11,01', '--seed', '1', '--out', untrained])
    ok('rdm-fit', [
      untrained,
      '--data',
      patterns,
      '--epochs',
      '4',
      '--batch',
      '20',
      '--lr',
      '0.05',
      '--out',
      join(folder, 'run'),
    ])
    lab = await openLab()
  })
  afterAll(() => lab?.close())
  afterEach(async () => {
    await Promise.all(opened.map((page) => page.context().close()))
    opened = []
  })
  const open = async (options = {}) => {
    const { page } = await lab.open('#inside', options)
    page.setDefaultTimeout(60_000)
    opened.push(page)
    return page
  }

  it('shows filters and activations of a network of ours', async () => {
    const page = await open()
    const bytes = readFileSync(trained)
    await file(page, 'A model').setInputFiles(trained)
    await page.getByText('model.onnx: images of 32×32, in colour;').waitFor()
    const stem = initialize([readNetwork(bytes)], 0).get('stem.weight')!.data as Float32Array
    const largest = Math.max(...stem.map(Math.abs))
    const red = Array.from({ length: 6 }, (_, i) => greys(stem.subarray(27 * i, 27 * i + 9), -largest, largest))
    expectClose((await tilesIn(page, 'filters of the first layer')).flat(), red.flat())

    // The fourth of the images that the page draws.
    const { test } = synthesize({ train: 2, test: 500, seed: 1 })
    const image = tensor('uint8', [1, 3, 32, 32], test.images.subarray(3 * 3072, 4 * 3072))
    await page.getByRole('button', { name: /^test image 4, / }).click()
    const layer = 'stage1.block2.f1.conv2'
    await file(page, 'Layer').selectOption({ label: `${layer} (Conv, 6 × 32×32)` })
    const wanted = inside(bytes, layer, image)
    const [least, most] = [Math.min(...wanted), Math.max(...wanted)]
    const digits = (value: number) => String(Number(value.toPrecision(3))).replace('-', '−')
    await page.getByText(`6 channels, from ${digits(least)} (black) to ${digits(most)} (white).`).waitFor()
    expectClose((await tilesIn(page, 'activations')).flat(), greys(wanted, least, most))
  })

  it('tells the error without each residual function, as rdm-paths lesion does', async () => {
    const page = await open()
    await file(page, 'A model').setInputFiles(trained)
    await file(page, 'A folder').setInputFiles(patterns)
    await page.getByText('60 test images, of 10 classes.').waitFor()
    await page.getByRole('button', { name: 'Leave each out' }).click()
    const status = page.getByText(/^Error of the whole network: /)
    await status.waitFor()
    const { code, out } = runCommand('rdm-paths', ['lesion', trained, '--data', patterns, '--counts', '1', '--json'])
    expect(code).toBe(0)
    const told = JSON.parse(out) as LesionReport
    const percent = (error: number) => `${(100 * error).toFixed(1)} %`
    expect(await status.innerText()).toContain(`network: ${percent(told.error)} on 60 test images`)
    // A bar for each of the four functions, and one for the whole, of heights as their errors are.
    const { heights, label } = (await page.evaluate(`(() => {
      const chart = document.querySelector('.chart.lesions')
      const bars = [...chart.querySelectorAll('path')].filter((path) => /quiet|curve/.test(path.getAttribute('fill')))
      return { heights: bars.map((bar) => bar.getBBox().height), label: chart.getAttribute('aria-label') }
    })()`)) as { heights: number[]; label: string }
    expect(label).toContain(percent(told.error))
    const errors = [told.error, ...told.alone.map(({ error }) => error)]
    expect(heights.length).toBe(5)
    for (const [i, height] of heights.entries()) expect(height / heights[0]!).toBeCloseTo(errors[i]! / errors[0]!, 1)
    await page.getByText('The numbers').click()
    const rows = await page.locator('.numbers tbody tr').allInnerTexts()
    expect(rows.map((row) => row.split('\t'))).toEqual(
      told.alone.map(({ block, function: name, mask, error }) => [`${block} ${name}`, mask, percent(error)]),
    )
    // They are not all alike, nor those of the whole.
    expect(new Set([told.error, ...told.alone.map(({ error }) => error)]).size).toBeGreaterThan(2)
  })

  it('tells how much gradient the paths of each length carry, as rdm-paths measure does', async () => {
    const page = await open()
    await file(page, 'A model').setInputFiles(trained)
    await file(page, 'A folder').setInputFiles(patterns)
    await page.getByText('60 test images, of 10 classes.').waitFor()
    await file(page, 'Samples of each length').fill('100')
    await page.getByRole('button', { name: 'Measure the paths' }).click()
    const status = page.getByText(/^The gradient on 60 test images: /)
    await status.waitFor()
    const argv = ['measure', trained, '--data', patterns, '--split', 'test', '--samples', '100', '--json']
    const { code, out } = runCommand('rdm-paths', argv)
    expect(code).toBe(0)
    const told = JSON.parse(out) as MeasureReport
    const { from, to } = told.range
    expect(await status.innerText()).toContain(
      `paths of ${from === to ? from : `${from} to ${to}`} layers carry ${(100 * told.range.share).toFixed(1)} % of it`,
    )
    await page.getByText('The numbers').click()
    const rows = await page.locator('.numbers tbody tr').allInnerTexts()
    const found = rows.map((row) => row.split('\t'))
    expect(found.map(([layers, paths, , samples]) => [layers, paths, samples])).toEqual([
      // One path with 60 images, and four paths.
      ['0', '1', 'all 60'],
      ['2', '4', '100'],
      ['4', '4', '100'],
    ])
    for (const [i, { gradient, standardError, share }] of told.lengths.entries()) {
      const [, , , , along, part] = found[i]!
      const [mean, error] = along!.split(' ± ').map(Number)
      // Three digits, and float32 in another order.
      expect(mean! / gradient).toBeCloseTo(1, 2)
      if (i > 0) expect(error! / standardError!).toBeCloseTo(1, 2)
      expect(Number.parseFloat(part!) / (100 * share)).toBeCloseTo(1, 2)
    }
    // They say something: no two lengths are alike.
    expect(new Set(told.lengths.map(({ share }) => share.toFixed(3))).size).toBe(3)
    for (const chart of await page.locator('.inside .curves .chart').all())
      expect(await chart.locator('path').count()).toBeGreaterThan(5)
  })

  it('looks into what the tab Train has trained, and at a picture of the user', async () => {
    const page = await open()
    const button = page.getByRole('button', { name: 'What the tab Train trained' })
    await button.click()
    await page.getByText('the tab Train has trained nothing yet').waitFor()
    await page.evaluate(`location.hash = '#train?blocks=1&widths=4&functions=11,01'`)
    for (const [name, value] of Object.entries({ 'Training images': 64, 'Test images': 20 }))
      await file(page, name).fill(`${value}`)
    await page.getByText('64 images of 32×32 to train on, 20 to test').waitFor()
    for (const [name, value] of Object.entries({ Epochs: 1, 'Images in a batch': 16 }))
      await file(page, name).fill(`${value}`)
    await page.getByRole('button', { name: 'Train', exact: true }).click()
    await page.getByText(/^Finished after 4 steps/).waitFor()
    await page.getByRole('tab', { name: 'Look inside' }).click()
    await button.click()
    await page.getByText('4 filters of 3×3, red, green and blue.').waitFor()
    await page.getByText('20 test images, of 10 classes.').waitFor()
    const photo = join(folder, 'red.png')
    await sharp({ create: { width: 40, height: 40, channels: 3, background: '#c83228' } })
      .png()
      .toFile(photo)
    await file(page, 'A picture').setInputFiles(photo)
    // What the network sees: the picture in its size.
    await page.getByRole('img', { name: 'red.png' }).waitFor()
    const [red] = await tilesIn(page, 'what it sees')
    expect([red!.length, new Set(red)]).toEqual([32 * 32, new Set([0xc8])])
    await page.getByText(/^4 channels, from /).waitFor()
  })

  it('looks into networks of others, and says in a line what it cannot look into', async () => {
    const page = await open({ viewport: { width: 390, height: 800 } })
    await file(page, 'A model').setInputFiles(foreign)
    await page.getByText('It takes floats: pixels are normalized for it by imagenet.').waitFor()
    await page.getByText('64 filters of 7×7, red, green and blue.').waitFor()
    await page.getByText(/^64 channels, from /).waitFor()
    expect((await tilesIn(page, 'activations')).length).toBe(64)
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390)
    writeFileSync(join(folder, 'letter.onnx'), 'Dear network,\n')
    await file(page, 'A model').setInputFiles(join(folder, 'letter.onnx'))
    await page.getByText(/^letter.onnx: this is not an ONNX model/).waitFor()
  })
})
