// The lab's tab Train in Chromium: networks of one block and few images, trained from the first button to the last.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { decodeCheckpoint } from '../../src/driver/run/checkpointFile.js'
import type { EpochMetrics } from '../../src/driver/run/metrics.js'
import { run as runCommand } from '../cli/support.js'
import { hasBrowser } from '../support/browser.js'
import { type Lab, openLab } from './support.js'

const folder = mkdtempSync(join(tmpdir(), 'rdm-lab-train-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** One block of four channels: a step takes some milliseconds. */
const tiny = '#train?blocks=1&widths=4&functions=11,01'
const tinyWords = ['--blocks', '1', '--widths', '4', '--functions', '11,01']
const data = { train: 64, test: 20 }

const train = (page: Page) => page.getByRole('button', { name: 'Train', exact: true })
const status = (page: Page) => page.locator('.status')
/** Of the run: the number that stands over the word. */
const figure = (page: Page, name: string) =>
  page.locator('.figures div', { has: page.getByText(name, { exact: true }) }).locator('dd')

async function fill(page: Page, fields: Readonly<Record<string, string | number>>): Promise<void> {
  for (const [name, value] of Object.entries(fields)) await page.getByLabel(name, { exact: true }).fill(String(value))
}

/** Few images, few steps. */
async function setUp(page: Page, settings: Readonly<Record<string, string | number>> = {}): Promise<void> {
  await fill(page, { 'Training images': data.train, 'Test images': data.test })
  await page.getByText(`${data.train} images of 32×32 to train on, ${data.test} to test, 10 classes.`).waitFor()
  await fill(page, { Epochs: 2, 'Images in a batch': 16, 'Learning rate': '0:0.02,1:0.01', ...settings })
}

const finished = (page: Page) =>
  status(page)
    .getByText(/^(Finished|Stopped) after \d+ steps[^…]*$/)
    .waitFor()

async function download(page: Page, name: string): Promise<Buffer> {
  const button = page.getByRole('button', {
    name: name === 'model.onnx' ? 'Download model.onnx' : 'Download the checkpoint',
  })
  const [file] = await Promise.all([page.waitForEvent('download'), button.click()])
  expect(file.suggestedFilename()).toBe(name)
  return readFileSync(await file.path())
}

/** Four files of grey images, as MNIST has them: a light half says the class. */
function writeDigits(path: string, side: number, counts: typeof data): void {
  mkdirSync(path, { recursive: true })
  const header = (type: number, sizes: readonly number[]) => {
    const bytes = Buffer.alloc(4 + 4 * sizes.length)
    bytes.set([0, 0, 8, type])
    sizes.forEach((size, i) => {
      bytes.writeUInt32BE(size, 4 + 4 * i)
    })
    return bytes
  }
  for (const [name, count] of [
    ['train', counts.train],
    ['t10k', counts.test],
  ] as const) {
    const labels = Uint8Array.from({ length: count }, (_, i) => i % 2)
    const pixels = Uint8Array.from({ length: count * side * side }, (_, at) => {
      const [image, column] = [Math.floor(at / side ** 2), at % side]
      return (column < side / 2 ? 0 : 1) === labels[image] ? 200 + (at % 7) : 20 + (at % 5)
    })
    writeFileSync(join(path, `${name}-images-idx3-ubyte`), Buffer.concat([header(3, [count, side, side]), pixels]))
    writeFileSync(join(path, `${name}-labels-idx1-ubyte`), Buffer.concat([header(1, [count]), labels]))
  }
}

describe.runIf(hasBrowser)('training in the lab', () => {
  let lab: Lab
  beforeAll(async () => {
    lab = await openLab()
  })
  afterAll(() => lab.close())
  const pages: Page[] = []
  afterEach(async () => {
    for (const page of pages.splice(0)) await page.context().close()
  })
  const opened = async (...[hash, options]: Parameters<Lab['open']>) => {
    const { page, complaints } = await lab.open(hash, options)
    pages.push(page)
    return { page, complaints }
  }

  it('shows all of a run, which comes to the numbers of rdm-fit', async () => {
    const { page, complaints } = await opened(tiny)
    await setUp(page)
    await train(page).click()
    await finished(page)
    expect(await status(page).textContent()).toBe('Finished after 8 steps in 2 epochs.')
    expect(await figure(page, 'step').textContent()).toBe('8 of 8')

    const checkpoint = decodeCheckpoint(await download(page, 'checkpoint.safetensors'), 'checkpoint')
    const model = join(folder, 'page.onnx')
    writeFileSync(model, await download(page, 'model.onnx'))
    // The same in Node, by what the page says: the exported design, the drawn data set.
    const [images, start, out] = ['images', 'start.onnx', 'run'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    for (const [name, ...argv] of [
      ['rdm-data', 'synth', images, '--train', `${data.train}`, '--test', `${data.test}`, '--seed', '1'],
      ['rdm-export', ...tinyWords, '--out', start],
      [
        'rdm-fit',
        start,
        '--data',
        images,
        '--out',
        out,
        '--epochs',
        '2',
        '--batch',
        '16',
        '--lr',
        '0:0.02,1:0.01',
        '--target',
        'portable',
      ],
    ] as const) {
      const { code, err } = runCommand(name, argv)
      expect({ code, err }).toMatchObject({ code: 0 })
    }
    const lines = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n')
    const theirs = lines.map((line) => JSON.parse(line) as EpochMetrics)
    expect(theirs).toHaveLength(2)
    for (const [i, { loss, testLoss, testError }] of checkpoint.progress.history.entries()) {
      expect(Math.abs(loss - theirs[i]!.loss)).toBeLessThan(1e-4)
      expect(Math.abs(testLoss - theirs[i]!.testLoss)).toBeLessThan(1e-4)
      expect(testError).toBe(theirs[i]!.testError)
    }
    expect(await figure(page, 'test error').textContent()).toBe(`${(100 * theirs[1]!.testError!).toFixed(1)} %`)

    // What rdm-eval makes of the downloaded model is the table that is shown.
    const { out: judged } = runCommand('rdm-eval', [model, '--data', images])
    const rows = [...judged.matchAll(/^ +\d (\w+) +[\d.]+ % +([\d ]+)$/gm)].map(([, name, counts]) => [
      name!,
      counts!.trim().split(/ +/),
    ])
    expect(rows).toHaveLength(10)
    const shown = await page.locator('.confusion tbody tr').evaluateAll((all) =>
      all.map((row) => {
        const cells = [...row.children].map((cell) => cell.textContent)
        return [cells[0], cells.slice(1, -1)]
      }),
    )
    expect(shown).toEqual(rows)
    expect(await page.locator('.pictures li').count()).toBe(data.test)
    expect(await page.locator('.pictures .right').count()).toBe(
      rows.reduce((sum, [, counts], i) => sum + Number(counts![i]), 0),
    )
    expect(complaints.filter((line) => line !== 'No available adapters.')).toEqual([])
  })

  it('goes on after the tab was closed, to the bytes of a run that was not', async () => {
    const { page } = await opened(tiny)
    await setUp(page, { Epochs: 4 })
    await train(page).click()
    await finished(page)
    const whole = await download(page, 'model.onnx')

    const { page: first } = await opened(tiny)
    // Long enough to be closed in its middle.
    await setUp(first, { Epochs: 4 })
    await train(first).click()
    await first.getByRole('button', { name: 'Pause' }).click()
    await first.getByText('A checkpoint is kept.').waitFor()
    const second = await first.context().newPage()
    const kept = second.getByText(/^basic-1x11-01: \d+ steps, [0-3] of 4 epochs\.$/)
    // The checkpoint of a pause is written after the step in progress.
    await second.goto(lab.url + tiny)
    for (let tries = 0; tries < 20 && !(await kept.isVisible()); tries++) {
      await second.reload()
      await second.waitForTimeout(500)
    }
    // While the first tab trains, no other does.
    await second.getByRole('button', { name: 'Go on' }).click()
    await second.getByText('another tab of this page trains: wait for it, or close it').waitFor()
    await first.close()
    await second.reload()
    await second.getByRole('button', { name: 'Go on' }).click()
    await finished(second)
    expect(await status(second).textContent()).toBe('Finished after 16 steps in 4 epochs.')
    expect((await download(second, 'model.onnx')).equals(whole)).toBe(true)
  })

  it('stops, and begins another run in the place of the one that was kept', async () => {
    const { page } = await opened(tiny)
    await setUp(page, { Epochs: 500 })
    await train(page).click()
    await figure(page, 'time left').getByText(/\d/).waitFor()
    expect(await page.getByLabel('Epochs').isDisabled()).toBe(true)
    await page.getByRole('button', { name: 'Stop' }).click()
    await finished(page)
    expect(await status(page).textContent()).toMatch(/^Stopped after \d+ steps\. It can go on/)
    await page.getByText(/^basic-1x11-01: [\d,]+ steps, \d+ of 500 epochs\.$/).waitFor()
    await fill(page, { Epochs: 1 })
    await train(page).click()
    await finished(page)
    expect(await status(page).textContent()).toBe('Finished after 4 steps in 1 epoch.')
    await page.reload()
    await page.getByText('basic-1x11-01: finished, 4 steps, 1 of 1 epoch.').waitFor()
    await page.getByRole('button', { name: 'Discard it' }).click()
    await page.getByText('The run that this browser keeps').waitFor({ state: 'hidden' })
    await page.reload()
    await train(page).waitFor()
    expect(await page.getByText('The run that this browser keeps').count()).toBe(0)
  })

  it('trains on files: the design takes their classes and their size, and what is wrong with them is said', async () => {
    const { page } = await opened(tiny)
    await page.getByRole('radio', { name: 'your files' }).check({ force: true })
    expect(await train(page).isDisabled()).toBe(true)
    const [digits, text] = ['digits', 'notes.txt'].map((name) => join(folder, name)) as [string, string]
    writeDigits(digits, 8, { train: 48, test: 16 })
    writeFileSync(text, 'no data')
    await page.getByLabel('Files', { exact: true }).setInputFiles(text)
    await page
      .getByRole('alert')
      .getByText(/^notes\.txt: no data set found; looked for /)
      .waitFor()
    await page.getByLabel('A folder').setInputFiles(digits)
    await page.getByText('48 images of 8×8 to train on, 16 to test, 2 classes.').waitFor()
    await expect.poll(() => page.url()).toContain('&classes=2&image-size=8')
    await fill(page, { Epochs: 4, 'Images in a batch': 8, 'Learning rate': '0.1' })
    await page.getByRole('checkbox', { name: 'Augment' }).uncheck()
    await train(page).click()
    await finished(page)
    // A half that is light is learnt at once.
    expect(await figure(page, 'test error').textContent()).toBe('0.0 %')
    await page.reload()
    await page.getByText('Choose its data set again (digits), then it can go on.').waitFor()
    expect(await page.getByRole('button', { name: 'Show it' }).isDisabled()).toBe(true)
  })

  it('trains on images in folders, which the browser decodes', async () => {
    const photos = join(folder, 'photos')
    const colours = { dark: 30, light: 220 }
    for (const [split, count] of Object.entries({ train: 8, test: 3 }))
      for (const [name, grey] of Object.entries(colours)) {
        const own = join(photos, split, name)
        mkdirSync(own, { recursive: true })
        for (let i = 0; i < count; i++)
          await sharp({
            create: { width: 20 + i, height: 24, channels: 3, background: { r: grey, g: grey + i, b: grey } },
          })
            .png()
            .toFile(join(own, `${i}.png`))
      }
    const { page } = await opened(`${tiny}&image-size=8`)
    await page.getByRole('radio', { name: 'your files' }).check({ force: true })
    await page.getByLabel('A folder').setInputFiles(photos)
    await page.getByText('16 images to train on, 6 to test, 2 classes.').waitFor()
    await fill(page, { Epochs: 8, 'Images in a batch': 8, 'Learning rate': '0.1' })
    await page.getByRole('checkbox', { name: 'Augment' }).uncheck()
    await train(page).click()
    await finished(page)
    expect(await figure(page, 'test error').textContent()).toBe('0.0 %')
    // By the label of the picture, and what is said below it.
    const said = await page
      .locator('.pictures li')
      .evaluateAll((all) =>
        all.map((item) => [item.querySelector('canvas')!.ariaLabel, item.querySelector('.said')!.textContent]),
      )
    expect(said).toHaveLength(6)
    expect(said.every(([label, taken]) => label === taken)).toBe(true)
  })

  it('fits a phone, and says where there is no GPU', async () => {
    const { page } = await opened(`${tiny}&classes=7`, { viewport: { width: 390, height: 844 }, colorScheme: 'dark' })
    await page.getByText('This browser offers no GPU (WebGPU)').waitFor()
    await setUp(page, { Epochs: 1 })
    await page.getByText('The design has 7 classes, and the data have 10.').waitFor()
    expect(await train(page).isDisabled()).toBe(true)
    await page.getByRole('button', { name: 'Fit the design to the data' }).click()
    await train(page).click()
    await finished(page)
    await page.locator('.confusion').waitFor()
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390)
  })
})

describe.runIf(hasBrowser)('training in the lab on a GPU in software', () => {
  let lab: Lab
  beforeAll(async () => {
    lab = await openLab(['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'])
  })
  afterAll(() => lab.close())

  it('tries both, takes the faster, and trains on the other where it is told to', async () => {
    const { page, complaints } = await lab.open(tiny)
    await page.getByRole('radio', { name: 'your files' }).check({ force: true })
    const digits = join(folder, 'few')
    writeDigits(digits, 8, { train: 16, test: 8 })
    await page.getByLabel('A folder').setInputFiles(digits)
    await page.getByText('16 images of 8×8 to train on, 8 to test, 2 classes.').waitFor()
    await fill(page, { Epochs: 1, 'Images in a batch': 4, 'Learning rate': '0.05' })
    await train(page).click()
    await finished(page)
    await page.getByText(/^The quick trial: processor [\d.e+]+ ms a step, GPU /).waitFor()
    const losses = async () =>
      decodeCheckpoint(await download(page, 'checkpoint.safetensors'), 'checkpoint').progress.history.map(
        ({ loss }) => loss,
      )
    const [processor] = await losses()
    await page.getByRole('radio', { name: 'GPU' }).check({ force: true })
    await train(page).click()
    await status(page).getByText('Trains on the GPU (WebGPU).').waitFor()
    await finished(page)
    const [gpu] = await losses()
    expect(Math.abs(gpu! - processor!)).toBeLessThan(1e-3)
    expect(complaints).toEqual([])
  }, 300_000)
})
