// The page in a real browser: what stands in it, what answers to a pointer and a keyboard, and what is there without a script.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { onDark } from '../../../src/driver/charts/style.js'
import type { OpenPage } from '../../../tools/browser.mjs'
import { run } from '../../cli/support.js'
import { hasBrowser, openPage } from '../../support/browser.js'
import { planModel, timing, writeExperiment, writeRun } from './support.js'

const root = mkdtempSync(join(tmpdir(), 'rdm-page-'))
const out = join(root, 'report')
/** A folder's name may hold anything. */
const strange = `<img src="x" onerror="throw 1">&'`

beforeAll(() => {
  const three = (name: string) => {
    const { config, ...rest } = planModel(name)
    return { ...rest, config: { ...config, epochs: 3 } }
  }
  const errors: Readonly<Record<string, readonly (readonly number[])[]>> = {
    rdm56: [
      [0.5, 0.4, 0.05],
      [0.6, 0.2, 0.07],
    ],
    rdm83: [[0.8, 0.3], [0.9]],
  }
  const experiment = join(root, 'experiment')
  writeExperiment(experiment, 'mine', [three('rdm56'), three('rdm83')], (model, seed) => errors[model.name]![seed - 1])
  const nothing = { ...timing, steps: 0, images: 0, trainingMs: 0, versions: {}, machine: { processor: 'Z', cores: 1 } }
  writeRun(join(root, strange), {
    testErrors: [0.7, 0.6],
    config: { epochs: 2, seed: 9 },
    timings: [timing, { ...timing, machine: { processor: '<i>Y</i>', cores: 64 } }, nothing, 'torn'],
  })
  const { code, err } = run('rdm-report', [experiment, join(root, strange), '--out', out])
  expect([code, err]).toEqual([0, ''])
})
afterAll(() => rmSync(root, { recursive: true }))

/** However busy the machine is. */
const soon = { timeout: 30_000 }

const texts = async (cells: Locator) => (await cells.allInnerTexts()).map((text) => text.replace(/\s+/g, ' ').trim())
const rowsOf = async (page: Page, section: string) => {
  const rows = await page.locator(`${section} tbody tr`).all()
  return Promise.all(rows.map((row) => texts(row.locator('th, td'))))
}

describe.skipIf(!hasBrowser)('the page', () => {
  let opened: OpenPage
  let page: Page
  const requests: string[] = []
  beforeAll(async () => {
    opened = await openPage('index.html', out)
    page = opened.page
    page.on('request', (request) => requests.push(request.url()))
    await page.reload()
  })
  afterAll(async () => {
    await opened.close()
  })

  it('asks for nothing but itself, and says nothing', async () => {
    // What is drawn when it comes into view is drawn.
    for (const chart of await page.locator('.run').all()) await chart.scrollIntoViewIfNeeded()
    await page.locator('.run.live').nth(4).waitFor()
    expect(requests).toEqual([`${opened.origin}/index.html`])
    expect(opened.messages).toEqual([])
    expect(await page.locator('img').count()).toBe(0)
  })

  it('has the figures of Table 1', async () => {
    expect(await texts(page.locator('#table1 thead th'))).toEqual([
      ...['model', 'block', 'depth', 'r', 'functions', 'parameters', 'paper', 'ours', 'n', 'difference'],
    ])
    const [rdm56, remarks56, rdm83, remarks83, other] = await rowsOf(page, '#table1')
    expect(rdm56).toEqual([
      ...['rdm56 RDM-ResNet-56', 'basic', '56', '2', '11,01', '1,707,418', '5.98 (5.98 ± 0.20)'],
      ...['6.00 (6.00 ± 1.41)', '2', '+0.02'],
    ])
    expect(remarks56).toEqual(['2 runs where the paper has 5; 3 epochs where the paper has 165'])
    expect(rdm83!.slice(6)).toEqual(['5.41 (5.34 ± 0.12)', '–', '0', '–'])
    expect(remarks83![0]).toMatch(
      /^0 of 2 runs have finished; stopped: seeds 1 \(2 of 3 epochs\), 2 \(1 of 3 epochs\); 3 epochs where/,
    )
    expect(other).toEqual([strange, ...new Array(6).fill('–'), '60.00 (60.00)', '1', '–'])
    expect(await page.title()).toBe(`mine, ${strange}`)
    expect(await page.locator('header p').innerText()).toBe(
      '3 models; data: CIFAR-10; 3 of 5 runs have finished; 2 stopped.',
    )
  })

  it('has times by model and machine, and what was set', async () => {
    const rows = await rowsOf(page, '#time')
    expect(rows.slice(0, 5)).toEqual([
      ['rdm56', 'A', '500', '100 s', '4.0 s', '6', '624 s'],
      ['rdm83', 'A', '500', '100 s', '4.0 s', '3', '312 s'],
      [strange, 'A', '500', '100 s', '4.0 s', '1', '104 s'],
      [strange, 'B', '500', '100 s', '4.0 s', '1', '104 s'],
      [strange, 'C', '–', '–', '4.0 s', '1', '4.0 s'],
    ])
    const versions = 'rdm-onnx 0.1.0, onnxruntime-node 1.29.0, node 20.19.0'
    expect(rows.slice(5)).toEqual([
      ['A', 'Processor X, 2 cores', '1', 'cpu', 'ort-cpu', versions],
      ['B', '<i>Y</i>, 64 cores', '1', 'cpu', 'ort-cpu', versions],
      ['C', 'Z, 1 core', '1', 'cpu', 'ort-cpu', ''],
    ])
    expect(await page.locator('#time').innerText()).toContain(
      'Lines of timing.jsonl that cannot be read, and are left out: 1.',
    )
    expect(await rowsOf(page, '#configuration')).toEqual([
      ['rdm56', '1..2', '9, 9, 9', '16, 32, 64', 'he', '3'],
      ['rdm83', '1..2', '9, 9, 9', '16, 32, 64', 'he', '3'],
      [strange, '9', '–', '–', '–', '2'],
    ])
    expect(await texts(page.locator('#configuration dt, #configuration dd'))).toEqual(
      expect.arrayContaining(['data', 'CIFAR-10', 'batch size', '128']),
    )
  })

  it('has the numbers of Figure 2 as a table', async () => {
    await page.locator('summary').click()
    expect(await rowsOf(page, '#figure2')).toEqual([
      ['1', '55.00 ± 7.07 (2)', '85.00 ± 7.07 (2)', '70.00 (1)'],
      ['2', '30.00 ± 14.14 (2)', '30.00 (1)', '60.00 (1)'],
      ['3', '6.00 ± 1.41 (2)', '–', '–'],
    ])
    await page.locator('summary').click()
  })

  const tip = () => texts(page.locator('.means .tip:visible caption, .means .tip:visible tr'))
  /** Over epoch 1 … 3 of Figure 2, whose axis ends 58 and 16 pixels within it. */
  const hover = async (epoch: number) => {
    const chart = page.locator('.means')
    await chart.scrollIntoViewIfNeeded()
    const { x, y, width, height } = (await chart.boundingBox())!
    const part = Math.min(0.99, Math.max(0.01, (epoch - 1) / 2))
    await page.mouse.move(x + 58 + (width - 74) * part, y + height / 2)
  }
  const curves = (model: number) => page.locator(`.means .drawn path[stroke="var(--curve-${model})"][fill="none"]`)

  it('tells the numbers of an epoch where the pointer is', async () => {
    await hover(2)
    await expect
      .poll(tip, soon)
      .toEqual(['epoch 2', 'rdm56 30.00 ± 14.14 % n = 2', 'rdm83 30.00 % n = 1', `${strange} 60.00 % n = 1`])
    await hover(1)
    await expect.poll(async () => (await tip())[2], soon).toBe('rdm83 85.00 ± 7.07 % n = 2')
  })

  it('tells them by the keyboard too', async () => {
    await page.mouse.move(0, 0)
    const slider = page.getByRole('slider')
    await slider.press('Home')
    await slider.press('ArrowRight')
    await expect.poll(async () => (await tip())[0], soon).toBe('epoch 2')
    expect(await slider.getAttribute('aria-valuetext')).toBe(
      `epoch 2; rdm56 30.00 ± 14.14 %, n = 2; rdm83 30.00 %, n = 1; ${strange} 60.00 %, n = 1`,
    )
    await slider.press('End')
    await expect.poll(tip, soon).toEqual(['epoch 3', 'rdm56 6.00 ± 1.41 % n = 2'])
    await slider.blur()
    await expect.poll(tip, soon).toEqual([])
  })

  it('hides a model, and what is told of it, and shows it again', async () => {
    expect(await curves(1).count()).toBe(1)
    const button = page.getByRole('button', { name: 'rdm83' })
    await button.click()
    expect(await button.getAttribute('aria-pressed')).toBe('false')
    expect([await curves(0).count(), await curves(1).count()]).toEqual([1, 0])
    await hover(2)
    await expect.poll(tip, soon).toEqual(['epoch 2', 'rdm56 30.00 ± 14.14 % n = 2', `${strange} 60.00 % n = 1`])
    await button.press('Space')
    expect(await button.getAttribute('aria-pressed')).toBe('true')
    expect(await curves(1).count()).toBe(1)
  })

  it('draws on a logarithmic axis', async () => {
    const labels = async () =>
      (await page.locator('.means .drawn text').allTextContents()).filter((text) => /^[\d.]+$/.test(text))
    const heights = async () => {
      const points = (await curves(0).getAttribute('d'))!.match(/[\d.]+/g)!.map(Number)
      return points.filter((_, i) => i % 2 === 1)
    }
    const ratio = async () => {
      const [first, second, third] = await heights()
      return (third! - second!) / (second! - first!)
    }
    // 55, 30 and 6 %.
    expect(await ratio()).toBeCloseTo((30 - 6) / (55 - 30), 1)
    await page.getByText('logarithmic', { exact: true }).click()
    expect(await labels()).toEqual(['5', '10', '20', '50', '100', '1', '2', '3'])
    expect(await ratio()).toBeCloseTo(Math.log(30 / 6) / Math.log(55 / 30), 1)
    await page.keyboard.press('ArrowLeft')
    expect(await ratio()).toBeCloseTo((30 - 6) / (55 - 30), 1)
  })

  it('has training curves of each run, in error and in loss', async () => {
    const runs = await texts(page.locator('#curves figcaption'))
    expect(runs).toEqual([
      'seed 1 5.00 %',
      'seed 2 7.00 %',
      'seed 1 epoch 2: 30.00 %',
      'seed 2 epoch 1: 90.00 %',
      'seed 9 60.00 %',
    ])
    const chart = page.locator('.run').nth(1)
    const over = async () => {
      await chart.scrollIntoViewIfNeeded()
      const { x, y, width, height } = (await chart.boundingBox())!
      await page.mouse.move(x + 38 + (width - 46) / 2, y + height / 2)
      return texts(chart.locator('.tip caption, .tip tr'))
    }
    await expect.poll(over, soon).toEqual(['epoch 2, learning rate 0.1', 'training 18.00 %', 'test 20.00 %'])
    await page.getByText('loss', { exact: true }).click()
    await page.mouse.move(0, 0)
    await expect.poll(over, soon).toEqual(['epoch 2, learning rate 0.1', 'training 0.5000', 'test 0.5600'])
  })

  it('is dark where the reader likes it dark, and on paper never', async () => {
    const rgb = (hex: string) => `rgb(${[1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join(', ')})`
    const background = () => page.evaluate('getComputedStyle(document.body).backgroundColor')
    const curve = `.means .drawn path[stroke="var(--curve-0)"][fill="none"]`
    const stroke = () => page.evaluate(`getComputedStyle(document.querySelector('${curve}')).stroke`)
    await page.emulateMedia({ colorScheme: 'dark' })
    expect(await background()).toBe(rgb(onDark.background))
    expect(await stroke()).toBe(rgb(onDark.curves[0]!))
    await page.emulateMedia({ colorScheme: 'dark', media: 'print' })
    expect(await background()).toBe('rgb(255, 255, 255)')
    expect(await page.locator('.drawn').first().isVisible()).toBe(false)
    expect(await page.locator('.means .static.linear').isVisible()).toBe(true)
    expect(await page.locator('.means .static.log').isVisible()).toBe(false)
    await page.emulateMedia({ colorScheme: null, media: null })
  })

  it('has room on a narrow screen, and nothing moves while it loads', async () => {
    // What other media did to the page above moved things, too.
    const fresh = await page.context().browser()!.newPage()
    await fresh.goto(`${opened.origin}/index.html`)
    const moved = await fresh.evaluate(`new Promise((resolve) => {
      let sum = 0
      new PerformanceObserver((list) => {
        for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) sum += value
      }).observe({ type: 'layout-shift', buffered: true })
      requestAnimationFrame(() => requestAnimationFrame(() => resolve(sum)))
    })`)
    await fresh.close()
    // A slow machine draws before the script has come, which moves a line by its pixels: what nobody sees. 0.1 is what browsers call good.
    expect(moved).toBeLessThan(0.02)
    await page.setViewportSize({ width: 360, height: 700 })
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
    const [row] = await rowsOf(page, '#table1')
    expect(row).toContain('6.00 (6.00 ± 1.41)')
    expect(await page.locator('#table1 td').first().isVisible()).toBe(true)
    expect(opened.messages).toEqual([])
  })

  it('has tables and pictures without a script', async () => {
    const browser: Browser = page.context().browser()!
    const context = await browser.newContext({ javaScriptEnabled: false })
    const plain = await context.newPage()
    await plain.goto(`${opened.origin}/index.html`)
    expect((await rowsOf(plain, '#table1'))[0]![7]).toBe('6.00 (6.00 ± 1.41)')
    expect(await plain.locator('.means .static.linear path[stroke="var(--curve-0)"]').first().isVisible()).toBe(true)
    expect(await plain.locator('.means .static.log').isVisible()).toBe(false)
    await plain.getByText('logarithmic', { exact: true }).click()
    expect(await plain.locator('.means .static.log').isVisible()).toBe(true)
    expect(await plain.locator('.means .static.linear').isVisible()).toBe(false)
    expect(await plain.locator('.run .static.error svg').count()).toBe(5)
    expect(await plain.getByRole('slider').count()).toBe(0)
    await context.close()
  })
})
