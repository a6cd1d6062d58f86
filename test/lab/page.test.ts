// The lab's tabs Design and Export in Chromium, as a person uses them.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { architectureFrom } from '../../graphs/describe.js'
import { residualNetwork } from '../../graphs/residual.js'
import { parameterCount } from '../../src/core/model/cost.js'
import { grouped } from '../../src/driver/format/table.js'
import { commandFile } from '../cli/support.js'
import { hasBrowser } from '../support/browser.js'
import { type Lab, openLab } from './support.js'

/** The number that stands over the words. */
const fact = (page: Page, name: string | RegExp) =>
  page.locator('.numbers div', { has: page.getByText(name) }).locator('dd')

describe.runIf(hasBrowser)('the lab', () => {
  let lab: Lab
  beforeAll(async () => {
    lab = await openLab()
  })
  afterAll(() => lab.close())

  it('shows the paper’s network first, and changes all of it with a switch', async () => {
    const { page, complaints } = await lab.open()
    await fact(page, 'parameters').getByText('1,707,418').waitFor()
    await expect.poll(() => page.url()).toBe(`${lab.url}#design?arch=rdm56`)
    const figure = page.getByRole('img', { name: /^A basic block/ })
    expect(await figure.getAttribute('aria-label')).toBe(
      'A basic block with pre-activation, a shortcut and 2 residual functions: function 1 keeps every ReLU; function 2 drops ReLU 1.',
    )
    const drawn = () => figure.locator('.switch:not(.dropped)').count()
    expect(await drawn()).toBe(3)
    const relu = page.getByRole('switch', { name: 'ReLU 1 of function 2' })
    await relu.click()
    expect(await relu.getAttribute('aria-checked')).toBe('true')
    expect(await drawn()).toBe(4)
    await expect.poll(() => page.url()).toBe(`${lab.url}#design?block=basic&depth=56&functions=11,11`)
    await page.getByRole('radio', { name: 'bottleneck' }).check({ force: true })
    await page.getByLabel('Depth, in layers').fill('29')
    const { architecture } = architectureFrom({ block: 'bottleneck', depth: 29, functions: ['111', '111'] })
    await fact(page, 'parameters')
      .getByText(grouped(parameterCount(residualNetwork(architecture))))
      .waitFor()
    await fact(page, 'paths: 3 to the power of 9').getByText('19,683').waitFor()
    expect(complaints).toEqual([])
  })

  it('says in place what is no network, and goes on with the last that was', async () => {
    const { page } = await lab.open('#design?depth=20&functions=11,01')
    const depth = page.getByLabel('Depth, in layers')
    await depth.fill('21')
    await page
      .getByText(
        'a depth of 21 is not possible for basic blocks in 3 equal stages: expected 6n + 2, nearest are 20 and 26',
      )
      .waitFor()
    expect(await depth.getAttribute('aria-invalid')).toBe('true')
    await depth.fill('26')
    await fact(page, 'layers').getByText('26').waitFor()
    await page.getByLabel('Height and width').fill('30')
    await page.getByRole('alert').getByText('images of 30 cannot be halved 2 times; use a multiple of 4').waitFor()
    const { page: other } = await lab.open('#design?depth=21')
    await other.getByRole('alert').getByText('The address says no network: depth 21 is not possible').waitFor()
  })

  it('goes back and forward, and is the same after a reload', async () => {
    const { page } = await lab.open('#design?depth=8&functions=11,01&range=2:4')
    await fact(page, 'layers').getByText('8', { exact: true }).waitFor()
    await page.getByLabel('Start from').selectOption('rdm83')
    await fact(page, 'network').getByText('rdm83').waitFor()
    await page.getByRole('tab', { name: 'Export' }).click()
    await expect.poll(() => page.url()).toBe(`${lab.url}#export?arch=rdm83&range=2:4`)
    await page.goBack()
    await page.getByRole('tab', { name: 'Design', selected: true }).waitFor()
    await page.goBack()
    await fact(page, 'network').getByText('basic-1-1-1x11-01').waitFor()
    await page.goForward()
    await page.reload()
    await fact(page, 'network').getByText('rdm83').waitFor()
    expect(await page.getByLabel('Effective from').inputValue()).toBe('2')
  })

  it('needs no pointer', async () => {
    const { page } = await lab.open('#design?depth=8')
    const focused = () =>
      page.evaluate('document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent')
    await page.keyboard.press('Tab')
    expect(await focused()).toBe('Design')
    await page.keyboard.press('ArrowRight')
    expect(await focused()).toBe('Export')
    await page.keyboard.press('Home')
    expect(await focused()).toBe('Design')
    for (let i = 0; i < 30 && (await focused()) !== 'ReLU 1 of function 1'; i++) await page.keyboard.press('Tab')
    await page.keyboard.press('Space')
    await expect.poll(() => page.url()).toBe(`${lab.url}#design?block=basic&depth=8&functions=01`)
    await page.getByLabel('Classes').focus()
    await page.keyboard.press('ArrowUp')
    await expect.poll(() => page.url()).toContain('&classes=11')
  })

  it('fits a phone, by day and by night', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const tab of ['design', 'export']) {
        const { page, complaints } = await lab.open(`#${tab}?r=23&depth=8`, {
          viewport: { width: 390, height: 844 },
          colorScheme,
        })
        await page.getByRole('tabpanel').getByRole('heading').first().waitFor()
        await page.waitForTimeout(300)
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390)
        expect(complaints).toEqual([])
      }
    }
  })

  it('writes what rdm-export writes, to the byte', async () => {
    const { page, complaints } = await lab.open(
      '#export?block=basic&depth=8&functions=11,01&widths=4,4,8&classes=7&image-size=16',
      { permissions: ['clipboard-read', 'clipboard-write'] },
    )
    const same = async (name: string) => {
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: `Download ${name}` }).click(),
      ])
      expect(download.suggestedFilename()).toBe(name)
      await page.getByRole('button', { name: 'Copy' }).click()
      const command = await page.evaluate<string>('navigator.clipboard.readText()')
      const [, words, file] = /^npx rdm-export (.*) > (\S+)$/.exec(command)!
      expect(file).toBe(name)
      const { status, stdout, stderr } = spawnSync(process.execPath, [commandFile('rdm-export'), ...words!.split(' ')])
      expect({ status, err: stderr.toString() }).toEqual({ status: 0, err: '' })
      expect(readFileSync(await download.path()).equals(stdout)).toBe(true)
      return words
    }
    const network = '--block basic --depth 8 --functions 11,01 --widths 4,4,8 --classes 7 --image-size 16'
    expect(await same('model.onnx')).toBe(network)
    const radio = (name: string) => page.getByRole('radio', { name, exact: true }).check({ force: true })
    await radio('train')
    await radio('basic')
    await page.getByLabel('No local functions').check()
    await page.getByLabel('Version of ONNX’s operators').selectOption('14')
    await page.getByLabel('Optimizer').selectOption('adamw')
    await page.getByLabel('Weight decay').fill('0.05')
    await page.getByLabel('Learning rate').fill('cosine:max=0.001,warmup=1')
    await page.getByLabel('Label smoothing').fill('0.1')
    await page.getByLabel('Largest gradient norm').fill('1')
    await page.getByLabel('Decay of the weights’ average').fill('0.99')
    expect(await same('train.onnx')).toBe(
      `${network} --part train --opset 14 --portable-level basic --inline --optimizer adamw --weight-decay 0.05 ` +
        '--lr cosine:max=0.001,warmup=1 --label-smoothing 0.1 --clip-norm 1 --ema 0.99',
    )
    await radio('infer')
    await page.getByLabel('Seed of the first weights').fill('5')
    await page.getByLabel('How they are drawn').selectOption('uniform')
    await page.getByLabel('A gate on every residual function').check()
    await page.getByLabel('Optimizer').selectOption('sgd')
    await page.getByLabel('Nesterov').check()
    expect(await same('infer.onnx')).toMatch(/ --seed 5 --gates --init uniform .*--nesterov/)
    // Which it always has.
    await page.getByLabel('Optimizer').selectOption('muon')
    expect(await page.getByLabel('Nesterov').count()).toBe(0)
    await page.getByLabel('Momentum', { exact: true }).fill('0.8')
    await page.getByLabel('Loss').selectOption('mse')
    await page.getByLabel('Recipe').selectOption('stochastic-depth')
    expect(await same('infer.onnx')).toContain(
      '--seed 5 --gates --recipe stochastic-depth --init uniform --optimizer muon --momentum 0.8',
    )
    expect(complaints).toEqual([])
  })
})
