// The lab's tab Bring a model in Chromium: a network of others is brought, switched, tuned, tried and taken away again.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import type { Page } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { mergedModel } from '../../src/core/derive/merged.js'
import { readNetwork } from '../../src/core/onnx/network.js'
import { decodeModel, encodeModel } from '../../src/core/onnx/tensors.js'
import { initialize } from '../../src/core/training/initialize.js'
import { decodeImages } from '../../src/driver/data/imageFiles.js'
import { type Derivation, derived } from '../../src/lab/bring/inspection.js'
import { treeOf } from '../../src/lab/bring/names.js'
import { run as runCommand } from '../cli/support.js'
import { hasBrowser } from '../support/browser.js'
import { type Lab, openLab } from './support.js'

const folder = mkdtempSync(join(tmpdir(), 'rdm-lab-bring-'))
afterAll(() => rmSync(folder, { recursive: true }))

const fixture = (name: string) => join(import.meta.dirname, '..', 'fixtures', 'networks', `${name}.onnx`)
const foreign = fixture('resnet18.script')

/** Pictures of two colours, a folder for each. */
async function writePhotos(path: string, each: number): Promise<void> {
  const colours = { blue: [40, 60, 200], red: [200, 50, 40] }
  for (const [name, colour] of Object.entries(colours)) {
    mkdirSync(join(path, name), { recursive: true })
    for (let i = 0; i < each; i++) {
      const pixels = Uint8Array.from(
        { length: 48 * 40 * 3 },
        (_, at) => colour[at % 3]! + ((at * 7 + i * 13) % 41) - 20,
      )
      const image = sharp(pixels, { raw: { width: 48, height: 40, channels: 3 } })
      await image.png().toFile(join(path, name, `${i}.png`))
    }
  }
}

const file = (page: Page, name: string) => page.getByLabel(name, { exact: true })
const trainable = (page: Page) => page.getByText('✓ It can be trained.')
const tune = (page: Page) => page.getByRole('button', { name: 'Fine-tune it' })
const finished = (page: Page) =>
  page
    .locator('.status')
    .getByText(/^Finished after \d+ steps/)
    .waitFor()
const figure = (page: Page, name: string) =>
  page.locator('.figures div', { has: page.getByText(name, { exact: true }) }).locator('dd')

async function download(page: Page): Promise<Buffer> {
  const button = page.getByRole('button', { name: /^Download .*\.onnx$/ })
  const [found] = await Promise.all([page.waitForEvent('download'), button.click()])
  return readFileSync(await found.path())
}

/** The weights of a file, by their names. */
function weightsIn(bytes: Uint8Array): Map<string, string> {
  const network = readNetwork(bytes)
  return new Map(
    [...initialize([network], 0)].map(([name, { data }]) => [
      name,
      Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex'),
    ]),
  )
}

describe('names as a tree', () => {
  it('branches at dots and slashes, and tells a lone branch with what holds it', () => {
    const weight = (name: string) => ({ name, shape: [1], count: 1, trains: true, canTrain: true })
    const tree = treeOf(['stem.conv.weight', 'layer1/0/w', 'layer1/0/b', 'layer1/1/w', 'bias'].map(weight))
    const text = ({ name, weights, branches }: typeof tree): unknown => [
      name,
      weights.map((each) => each.name),
      branches.map(text),
    ]
    expect(text(tree)).toEqual([
      '',
      ['bias'],
      [
        ['stem.conv', ['stem.conv.weight'], []],
        [
          'layer1',
          [],
          [
            ['0', ['layer1/0/w', 'layer1/0/b'], []],
            ['1', ['layer1/1/w'], []],
          ],
        ],
      ],
    ])
  })
})

describe('the file that is trained', () => {
  const first: Derivation = {
    shapes: {},
    loss: 'cross-entropy',
    train: 'last',
    lora: 0,
    batchNorm: 'frozen',
    optimizer: 'sgd',
  }
  const heads = ['--loss', 'cross-entropy', '--head', 'blue,red', '--normalize']
  const cases: readonly (readonly [string, Derivation, readonly string[]])[] = [
    [
      'a fresh last layer alone',
      { ...first, classes: ['blue', 'red'], optimizer: 'adamw' },
      [...heads, 'imagenet', '--train', 'fc.weight,fc.bias', '--optimizer', 'adamw', '--lr', '0.01'],
    ],
    [
      'adapters, by statistics of the batch',
      { ...first, classes: ['blue', 'red'], normalize: 'mean=0.5,std=0.5', lora: 2, train: 'all', batchNorm: 'train' },
      [...heads, 'mean=0.5,std=0.5', '--lora', '2', '--batch-norm', 'train', '--lr', '0.001'],
    ],
  ]
  it.each(cases)('is to the byte that of rdm-derive: %s', (_, choices, words) => {
    const out = join(folder, 'derived.onnx')
    const { code, err } = runCommand('rdm-derive', [foreign, ...words, '--out', out])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(Buffer.compare(derived(readFileSync(foreign), choices), readFileSync(out))).toBe(0)
  })
})

describe.runIf(hasBrowser)('bringing a model', () => {
  let lab: Lab
  let opened: Page[] = []
  beforeAll(async () => {
    await writePhotos(join(folder, 'photos'), 12)
    lab = await openLab(['--use-fake-device-for-media-stream'])
  })
  afterAll(() => lab.close())
  afterEach(async () => {
    await Promise.all(opened.map((page) => page.context().close()))
    opened = []
  })
  const open = async (options = {}) => {
    const { page } = await lab.open('#bring', options)
    page.setDefaultTimeout(60_000)
    opened.push(page)
    return page
  }

  it('tunes the last layer of a network of PyTorch on photos in folders, and tells them apart', async () => {
    const page = await open()
    await file(page, 'A model').setInputFiles(foreign)
    await trainable(page).waitFor()
    const about = page.locator('.about')
    const fact = (name: string) =>
      about
        .locator('div', { has: page.getByText(name, { exact: true }) })
        .locator('dd')
        .innerText()
    expect(await fact('Takes')).toBe('image float32[batch, 3, 32, 32]')
    expect(await fact('Gives')).toBe('y float32[batch, 10]')
    expect(await fact('Opset')).toBe('20')
    expect(await fact('Operators')).toMatch(/^50: Conv 21, Relu 17, Add 8/)

    await file(page, 'A folder').setInputFiles(join(folder, 'photos'))
    await page.getByText('19 examples to train on, 5 to test (held out); 2 classes: blue, red.').waitFor()
    await page.getByText('labels int64[batch], classes 0 to 1').waitFor()
    // 12 features to 2 classes.
    await page.getByText('26 of 20,908 numbers train, in 2 of 44 tensors.').waitFor()
    const bias = file(page, 'train fc.bias')
    await bias.focus()
    await page.keyboard.press('Space')
    await page.getByText('24 of 20,908 numbers train').waitFor()
    expect(await page.locator('.tree :indeterminate').getAttribute('aria-label')).toBe('train fc, 2 weights')
    await file(page, 'train fc, 2 weights').click()
    await page.getByText('26 of 20,908 numbers train').waitFor()

    await file(page, 'Examples in a batch').fill('4')
    await file(page, 'Epochs').fill('12')
    await file(page, 'Learning rate').fill('0.03')
    await tune(page).click()
    await finished(page)
    expect(await figure(page, 'test error').innerText()).toBe('0.0 %')

    const photo = join(folder, 'photos', 'red', '3.png')
    await file(page, 'A picture').setInputFiles(photo)
    const answers = page.locator('.answer li')
    await answers.first().waitFor()
    expect(await answers.locator('.name').allInnerTexts()).toEqual(['red', 'blue'])
    const said = Number.parseFloat(await answers.first().locator('.number').innerText())

    // What the page has said is what the file says elsewhere, and nothing but the last layer has changed.
    const bytes = await download(page)
    const pixels = await decodeImages([photo], [3, 32, 32])
    const session = await InferenceSession.create(bytes)
    const { y } = await session.run({ image: new Tensor('uint8', pixels, [1, 3, 32, 32]) })
    const [blue, red] = y!.data as Float32Array
    expect(said).toBeCloseTo(100 / (1 + Math.exp(blue! - red!)), 0)
    const [before, after] = [weightsIn(readFileSync(foreign)), weightsIn(bytes)]
    const changed = [...after].filter(([name, data]) => before.get(name) !== data).map(([name]) => name)
    expect(changed.sort()).toEqual(['fc.bias', 'fc.weight'])

    // A file with a training step goes on as it is.
    writeFileSync(join(folder, 'tuned.onnx'), bytes)
    await file(page, 'A model').setInputFiles(join(folder, 'tuned.onnx'))
    await page.getByText('It has a training step of its own, for labels: it trains as it is.').waitFor()
    await file(page, 'Epochs').fill('1')
    await tune(page).click()
    await page.locator('.status').getByText('Finished after 5 steps in 1 epoch.').waitFor()
    expect(await figure(page, 'test error').innerText()).toBe('0.0 %')
  })

  it('trains adapters, and merges them as rdm-derive does', async () => {
    const page = await open()
    await file(page, 'A model').setInputFiles(foreign)
    await trainable(page).waitFor()
    await file(page, 'A folder').setInputFiles(join(folder, 'photos'))
    await page.getByText('2 classes: blue, red.').waitFor()
    await page.getByRole('button', { name: 'All of them' }).click()
    await file(page, 'Adapters of rank (LoRA)').fill('2')
    // They come on top of the 20,908 numbers of the network.
    await page
      .getByText('numbers train')
      .getByText(/of (?!20,908)/)
      .waitFor()
    await file(page, 'Epochs').fill('1')
    await tune(page).click()
    await finished(page)
    const bytes = await download(page)
    const [told] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download it with the adapters merged' }).click(),
    ])
    expect(told.suggestedFilename()).toMatch(/-tuned-merged\.onnx$/)
    const merged = readFileSync(await told.path())
    expect(Buffer.compare(merged, mergedModel(bytes))).toBe(0)
    // The weights that the network had, and others than those of the last layer have changed.
    const [before, after] = [weightsIn(readFileSync(foreign)), weightsIn(merged)]
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort())
    const changed = [...after].filter(([name, data]) => before.get(name) !== data).map(([name]) => name)
    expect(changed.filter((name) => !name.startsWith('fc.')).length).toBeGreaterThan(0)
  })

  it('makes a pretrained example, which learns other classes', async () => {
    const page = await open()
    await file(page, 'Images').fill('60')
    await file(page, 'Epochs').fill('1')
    await page.getByRole('button', { name: 'Make a small pretrained example' }).click()
    await page.getByText('It has a training step of its own, for labels, which is left aside.').waitFor()
    await page.getByText(/4 classes: /).waitFor()
    await trainable(page).waitFor()
    await page.getByText(/^132 of /).waitFor()
    await page.getByRole('button', { name: 'All of them' }).click()
    await page
      .getByText('numbers train')
      .getByText(/^(?!132)/)
      .waitFor()
    await page.getByText('drawn here').click()
    await file(page, 'Training images').fill('32')
    await file(page, 'Test images').fill('8')
    await page.getByRole('button', { name: 'Draw them' }).click()
    await file(page, 'Epochs').fill('1')
    await tune(page).click()
    await page
      .locator('.status')
      .getByText(/^Finished after 2 steps/)
      .waitFor()
    const network = readNetwork(await download(page))
    expect([...network.outputs.values()].map(({ shape }) => shape.at(-1))).toContain(4)
  })

  it('says in a line what is wrong with a file, on a phone, too', async () => {
    const page = await open({ viewport: { width: 390, height: 800 } })
    const whole = readFileSync(foreign)
    const model = decodeModel(whole)
    model.graph!.node!.find(({ opType }) => opType === 'MaxPool')!.opType = 'Mystery'
    const files = {
      'letter.onnx': 'Dear network,\n',
      'half.onnx': whole.subarray(0, 5000),
      'unknown.onnx': encodeModel(model),
    }
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
    await file(page, 'A model').setInputFiles(join(folder, 'letter.onnx'))
    await page.getByText(/^letter.onnx: this is not an ONNX model/).waitFor()
    await file(page, 'A model').setInputFiles(join(folder, 'half.onnx'))
    await page.getByText(/^half.onnx: this is not an ONNX model .* 89080 bytes are missing/).waitFor()
    await file(page, 'A model').setInputFiles(join(folder, 'unknown.onnx'))
    await page.getByText(/\(Mystery\): /).waitFor()
    // It is shown all the same.
    await page.getByText('Mystery 1').waitFor()
    expect(await tune(page).count()).toBe(0)
    await file(page, 'A model').setInputFiles(foreign)
    await trainable(page).waitFor()
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390)
  })

  it('takes pictures by the camera, a button a class', async () => {
    const page = await open({ permissions: ['camera'] })
    await page.getByText('the camera', { exact: true }).click()
    await file(page, 'Classes').fill('cup, spoon, fork')
    await page.getByRole('button', { name: 'Use the camera' }).click()
    const take = page.getByRole('button', { name: /^Take these/ })
    for (const name of ['cup', 'spoon', 'fork'])
      for (let i = 0; i < 3; i++) {
        await page.getByRole('button', { name: `${name} (${i})` }).click()
        await page.getByRole('button', { name: `${name} (${i + 1})` }).waitFor()
      }
    await take.click()
    await page.getByText('7 examples to train on, 2 to test (held out); 3 classes: cup, fork, spoon.').waitFor()
  })

  it('says so where the camera is refused', async () => {
    const page = await open()
    await page.context().clearPermissions()
    await page.getByText('the camera', { exact: true }).click()
    await page.getByRole('button', { name: 'Use the camera' }).click()
    await page.getByText(/^This browser does not let the page use the camera/).waitFor()
  })
})
