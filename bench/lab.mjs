// rdm8 trained in the lab, in Chromium's WebAssembly, against the same step in the plain sample page: what the page around the
// step costs. The lab is timed as its user sees it, by the images a second that it shows at the end of a run.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { exportModel, recipes, residualNetwork, synthesize, writeCifar10 } from 'rdm-onnx'
import { architectureFrom } from '../dist/graphs/describe.js'
import { serveLab } from '../dist/src/cli/lab/server.js'
import { openExample } from '../interop/browser.mjs'
import { launchBrowser } from '../tools/browser.mjs'
import {
  countOf,
  fail,
  machineName,
  median,
  option,
  printTable,
  quartiles,
  temporaryFolder,
  writeReport,
} from './common.mjs'

/** Images in a batch, as the sample page has it; its first steps are warm-up. */
const [BATCH, WARM_UP] = [32, 3]
const MUST = 1.3

async function inLab(steps) {
  const server = await serveLab(new URL('../dist/lab', import.meta.url).pathname, 0)
  const browser = await launchBrowser()
  try {
    const page = await browser.newPage()
    page.setDefaultTimeout(600_000)
    await page.goto(`${server.url}#train?depth=8&functions=11,01`)
    const fields = { 'Training images': BATCH * steps, 'Test images': 10, Epochs: 1, 'Images in a batch': BATCH }
    for (const [name, value] of Object.entries(fields)) await page.getByLabel(name, { exact: true }).fill(`${value}`)
    await page.getByRole('button', { name: 'Train', exact: true }).click()
    await page.getByText(/^Finished after/).waitFor()
    const rate = page.locator('.figures div', { hasText: 'images a second' }).locator('dd')
    return (1000 * BATCH) / Number((await rate.innerText()).replaceAll(',', ''))
  } finally {
    await browser.close()
    await server.close()
  }
}

async function inSample(models, images, steps) {
  const { page, close } = await openExample(models, images)
  try {
    await page.fill('input[name=steps]', `${steps}`)
    await page.click('button[value=start]')
    await page.waitForSelector('button[value=start]:enabled', { timeout: 600_000 })
    const lines = await page.locator('#log li').allTextContents()
    const seconds = lines.flatMap((line) => /, ([\d.]+) s$/.exec(line)?.[1] ?? []).map(Number)
    return 1000 * median(seconds.slice(WARM_UP))
  } finally {
    await close()
  }
}

/** The sample's files: parts of the network, and images as CIFAR-10 has them. */
async function written(folder) {
  const { architecture } = architectureFrom({ depth: 8, functions: ['11', '01'] })
  for (const part of ['init', 'train', 'infer'])
    writeFileSync(
      join(folder, `${part}.onnx`),
      exportModel(residualNetwork(architecture), { recipe: recipes.paper, seed: 1, part }),
    )
  const data = join(folder, 'cifar')
  await writeCifar10(data, synthesize({ train: 320, test: 10, seed: 1 }))
  return [folder, join(data, 'data_batch_1.bin')]
}

async function main() {
  const { values } = parseArgs({ options: { rounds: option(5), steps: option(40) } })
  const [rounds, steps] = ['rounds', 'steps'].map((name) => countOf(values, name))
  if (steps <= WARM_UP) fail(`--steps takes numbers from ${WARM_UP + 1}, got ${steps}`)
  const files = await written(temporaryFolder())
  const contestants = [
    { name: 'the lab', time: () => inLab(steps), ms: [] },
    { name: 'the sample page', time: () => inSample(...files, steps), ms: [] },
  ]
  for (let round = 0; round < rounds; round++)
    for (const each of round % 2 === 0 ? contestants : contestants.toReversed()) each.ms.push(await each.time())
  const results = contestants.map(({ name, ms }) => ({ name, median: median(ms), quartiles: quartiles(ms), ms }))
  const ratio = results[0].median / results[1].median
  console.log(`rdm8, batches of ${BATCH}, WebAssembly in Chromium, ${machineName()}\n`)
  printTable([
    ['', 'ms a step', 'quartiles'],
    ...results.map(({ name, median, quartiles }) => [
      name,
      median.toFixed(0),
      `(${quartiles.map((ms) => ms.toFixed(0)).join('–')})`,
    ]),
  ])
  console.log(`\nratio ${ratio.toFixed(2)}, must be at most ${MUST}: ${ratio <= MUST ? 'holds' : 'does not hold'}`)
  writeReport('lab.json', { network: 'rdm8', batch: BATCH, rounds, steps, ratio, must: MUST, results })
}

main().catch(({ message }) => fail(message))
