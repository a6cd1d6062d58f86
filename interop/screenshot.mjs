// Takes the picture of the example page that docs/elsewhere.md shows, after twenty steps of rdm8; npm run interop writes its models.
//   node interop/screenshot.mjs docs/browser.png
import sharp from 'sharp'
import { openExample } from './browser.mjs'
import { folderOf } from './install.mjs'
import { imagesIn, modelsOf } from './nets.mjs'

const [picture] = process.argv.slice(2)
const folder = folderOf('models')
const { page, close } = await openExample(modelsOf(folder, 'rdm8', 'functions'), imagesIn(folder))
try {
  await page.setViewportSize({ width: 1000, height: 900 })
  await page.getByRole('button', { name: 'Train', exact: true }).click()
  await page.waitForSelector('button[value=start]:enabled', { timeout: 230_000 })
  // Few colours: a quarter of the bytes, and nobody sees it.
  await sharp(await page.screenshot({ fullPage: true }))
    .png({ palette: true, compressionLevel: 9 })
    .toFile(picture)
} finally {
  await close()
}
