// Takes the pictures of rdm-lab that the documentation shows: a design, and a run of some minutes in its last epoch.
//   node tools/labScreenshots.mjs docs
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
} finally {
  await browser.close()
  await server.close()
}
