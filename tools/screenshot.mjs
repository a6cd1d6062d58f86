// Takes the picture of a report that docs/experiment.md shows: the page down to Figure 2, with an epoch read off it.
//   node tools/screenshot.mjs runs/small/report/index.html docs/report.png
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import sharp from 'sharp'

const [page, picture] = process.argv.slice(2)
if (picture === undefined) {
  process.stderr.write('usage: node tools/screenshot.mjs <page> <picture.png>\n')
  process.exit(2)
}
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
try {
  const shown = await browser.newPage({ viewport: { width: 1000, height: 1600 }, deviceScaleFactor: 1.5 })
  await shown.goto(pathToFileURL(resolve(page)).href)
  const end = await shown.locator('#curves').boundingBox()
  const { x, y, width, height } = await shown.locator('.means').boundingBox()
  await shown.mouse.move(x + 0.6 * width, y + 0.4 * height)
  await shown.locator('.means .tip').waitFor()
  const pixels = await shown.screenshot({ clip: { x: 0, y: 0, width: 1000, height: Math.floor(end.y) } })
  // Few colours: a quarter of the bytes, and nobody sees it.
  await sharp(pixels).png({ palette: true, compressionLevel: 9 }).toFile(picture)
} finally {
  await browser.close()
}
