// The example page in Chromium: it trains rdm8, stops when told to, and says what it lacks.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeSafetensors } from '../../src/driver/run/safetensors.js'
import { hasBrowser } from '../support/browser.js'

const root = join(import.meta.dirname, '..', '..')
const piece = (name: string) => import(/* @vite-ignore */ join(root, 'interop', `${name}.mjs`))
const { openExample } = await piece('browser')
const { writeNets, modelsOf, imagesIn } = await piece('nets')
const { parse } = await piece('trial')
const { runtimes } = await piece('runtimes')
const { installation } = runtimes.find(({ name }: { name: string }) => name === 'chromium')
const isHere = hasBrowser && (process.env.CI !== undefined || installation.isInstalled())

const folder = mkdtempSync(join(tmpdir(), 'rdm-interop-page-'))
afterAll(() => rmSync(folder, { recursive: true }))
beforeAll(() => writeNets(folder, ['tiny', 'rdm8']), 240_000)

const opened = (network: string, options = {}) =>
  openExample(modelsOf(folder, network, 'functions'), imagesIn(folder), options)

describe.runIf(isHere)('the page', () => {
  it('trains rdm8 for twenty steps, and the loss falls', async () => {
    const { page, messages, close } = await opened('rdm8')
    try {
      await page.getByRole('button', { name: 'Train', exact: true }).click()
      await page.waitForSelector('button[value=start]:enabled', { timeout: 230_000 })
      const { steps, predicted } = parse((await page.locator('#log li').allTextContents()).join('\n'))
      const losses = steps.map(({ loss }: { loss: number }) => loss)
      const mean = (some: readonly number[]) => some.reduce((a, b) => a + b) / some.length
      expect(losses).toHaveLength(20)
      // ln 10 is the loss of guessing among ten classes: the losses begin there, and come to 0.64 times it.
      expect(mean(losses.slice(-5))).toBeLessThan(0.8 * Math.log(10))
      expect(predicted).toMatch(/^\d+$/)
      expect(await page.textContent('#status')).toBe(`finished after 20 steps, loss ${losses.at(-1).toFixed(4)}`)
      // A point of the curve for each step, from left to right.
      const curve = (await page.locator('#chart path').getAttribute('d'))!.match(/[\d.]+,[\d.]+/g)!
      expect(curve).toHaveLength(20)
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: 'Save weights' }).click(),
      ])
      const { tensors } = decodeSafetensors(readFileSync(await download.path()), 'trained.safetensors')
      expect(tensors['stem.weight']?.shape).toEqual([16, 3, 3, 3])
      // The runtime says so of inputs with a value of their own, once for each.
      const others = messages.filter((message: string) => !/Initializer \w+ appears in graph inputs/.test(message))
      expect(others).toEqual([])
    } finally {
      await close()
    }
  }, 240_000)

  it('takes chosen files, stops when told to, and says that it has one thread where it is not isolated', async () => {
    const models = modelsOf(folder, 'tiny', 'functions')
    const { page, close } = await opened('tiny', { headers: {}, path: 'train-onnxruntime.html' })
    try {
      const machine = () => page.textContent('#machine')
      await page.waitForFunction(`document.getElementById('machine').textContent`)
      expect(await machine()).toContain(
        'WebAssembly has one thread here: the server does not send the headers that isolate the page (see its source).',
      )
      await page.getByRole('button', { name: 'Train', exact: true }).click()
      await page.waitForSelector('#status.failed')
      expect(await page.textContent('#status')).toBe('Choose data_batch_1.bin first.')
      const parts = ['init', 'train', 'infer'].map((part) => join(models, `${part}.onnx`))
      await page.setInputFiles('input[name=data]', imagesIn(folder))
      await page.setInputFiles('input[name=models]', parts.slice(1))
      await page.getByRole('button', { name: 'Train', exact: true }).click()
      await page.waitForFunction(`document.getElementById('status').textContent === 'Choose init.onnx first.'`)
      await page.setInputFiles('input[name=models]', parts)
      await page.fill('input[name=steps]', '100000')
      await page.getByRole('button', { name: 'Train', exact: true }).click()
      await page.waitForSelector('#log li:nth-child(3)', { timeout: 100_000 })
      await page.getByRole('button', { name: 'Stop' }).click()
      await page.waitForSelector('button[value=start]:enabled')
      expect(await page.textContent('#status')).toMatch(/^stopped after \d+ steps, loss \d/)
    } finally {
      await close()
    }
  }, 240_000)
})
