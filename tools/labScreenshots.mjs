// Takes the pictures of rdm-lab that the documentation shows: a design, a run of some minutes in its last epoch, the inside of what it
// trained, and a network that was brought, tuned on drawn fruit.
//   node tools/labScreenshots.mjs docs
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { serveLab } from '../dist/src/cli/lab/server.js'
import { launchBrowser } from './browser.mjs'

const [folder] = process.argv.slice(2)
if (folder === undefined) {
  process.stderr.write('usage: node tools/labScreenshots.mjs <folder>\n')
  process.exit(2)
}

const server = await serveLab(new URL('../dist/lab', import.meta.url).pathname, 0)
const browser = await launchBrowser()

/** Few colours: a quarter of the bytes, and nobody sees it. */
const write = async (page, name, options) => {
  const pixels = await page.screenshot(options)
  await sharp(pixels).png({ palette: true, compressionLevel: 9 }).toFile(join(folder, name))
}

const fruits = { apple: '#c8322b', lime: '#7fae2c', plum: '#6a3577' }
const photos = mkdtempSync(join(tmpdir(), 'rdm-lab-'))
for (const [name, colour] of Object.entries(fruits)) {
  mkdirSync(join(photos, 'fruit', name), { recursive: true })
  for (let i = 0; i < 30; i++) {
    const [x, y, r] = [80 + ((i * 37) % 40), 85 + ((i * 23) % 30), 42 + ((i * 11) % 20)]
    const ground = `hsl(${(i * 47) % 360} 18% ${70 + ((i * 7) % 20)}%)`
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="200" height="200"><rect width="200" height="200" fill="${ground}"/>
      <ellipse cx="${x}" cy="${y}" rx="${r}" ry="${r * 0.92}" fill="${colour}"/>
      <ellipse cx="${x - r / 3}" cy="${y - r / 3}" rx="${r / 5}" ry="${r / 7}" fill="#fff" opacity=".45"/>
      <path d="M${x} ${y - r * 0.85} q4 -18 14 -22" stroke="#5b4022" stroke-width="6" fill="none"/></svg>`
    await sharp(Buffer.from(svg))
      .png()
      .toFile(join(photos, 'fruit', name, `${i}.png`))
  }
}

try {
  const shown = { viewport: { width: 1280, height: 1040 }, deviceScaleFactor: 1.25 }
  const design = await browser.newPage(shown)
  await design.goto(`${server.url}#design?arch=rdm56`)
  await design.getByText('1,707,418').first().waitFor()
  await design.locator('.chart.lengths svg').waitFor()
  await write(design, 'lab-design.png')

  const train = await browser.newPage({ ...shown, viewport: { width: 1280, height: 1184 } })
  await train.goto(`${server.url}#train?depth=8&functions=11,01&widths=8,16,32`)
  for (const [name, value] of [
    ['Training images', '4000'],
    ['Epochs', '6'],
  ])
    await train.getByLabel(name, { exact: true }).fill(value)
  await train.getByText('4,000 images of 32×32').waitFor()
  await train.getByRole('button', { name: 'Train', exact: true }).click()
  await train.getByText('6 of 6').waitFor({ timeout: 1_800_000 })
  await train.waitForTimeout(6000)
  await write(train, 'lab-train.png')

  await train.getByText(/^Finished after/).waitFor({ timeout: 600_000 })
  await train.setViewportSize({ width: 1280, height: 1700 })
  await train.getByRole('tab', { name: 'Look inside' }).click()
  await train.getByRole('button', { name: 'What the tab Train trained' }).click()
  await train.getByRole('button', { name: /^test image 4, / }).click()
  await train.getByLabel('Layer', { exact: true }).selectOption({ label: 'stage1.block1.f1.relu2 (Relu, 8 × 32×32)' })
  await train.getByRole('button', { name: 'Leave each out' }).click()
  await train.getByText(/^Error of the whole network/).waitFor()
  await train.getByRole('button', { name: 'Measure the paths' }).click()
  await train.getByText(/^The gradient on /).waitFor()
  await train.waitForTimeout(500)
  await write(train, 'lab-inside.png')
  await train.close()

  const bring = await browser.newPage({ ...shown, viewport: { width: 1280, height: 1250 } })
  await bring.goto(`${server.url}#bring`)
  const network = new URL('../test/fixtures/networks/resnet18.dynamo.onnx', import.meta.url).pathname
  await bring.getByLabel('A model', { exact: true }).setInputFiles(network)
  await bring.getByLabel('A folder', { exact: true }).setInputFiles(join(photos, 'fruit'))
  await bring.getByText('labels int64[batch], classes 0 to 2').waitFor()
  await bring.getByRole('button', { name: 'All of them' }).click()
  for (const [name, value] of [
    ['Learning rate', 'one-cycle:max=0.01'],
    ['Epochs', '20'],
  ])
    await bring.getByLabel(name, { exact: true }).fill(value)
  await bring.getByText('It can be trained').waitFor()
  await bring.waitForTimeout(1000)
  await bring.getByRole('button', { name: 'Fine-tune it' }).click()
  await bring.getByText(/^Finished after/).waitFor({ timeout: 600_000 })
  await bring.getByLabel('A picture', { exact: true }).setInputFiles(join(photos, 'fruit', 'plum', '4.png'))
  await bring.locator('.chances li').first().waitFor()
  await bring.evaluate('scrollTo(0, 0)')
  await bring.waitForTimeout(500)
  await write(bring, 'lab-bring.png')
} finally {
  await browser.close()
  await server.close()
  rmSync(photos, { recursive: true })
}
