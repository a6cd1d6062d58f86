// npm run networks: networks of others trained, and docs/networks.md.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createProgram, runProgram } from '../../dist/src/cli/command.js'
import { root } from '../files.mjs'
import { trainedNetworks } from './networks.mjs'
import { pageOf, stepsRow, stepsStart, tuningRow, WITHIN } from './page.mjs'
import { compareSteps } from './steps.mjs'
import { tune } from './tune.mjs'

const page = join(root, 'docs', 'networks.md')
const refusal = (error) =>
  String(error.stderr ?? error.message)
    .trim()
    .replace(/^rdm-derive: /, '')
    .replaceAll('|', '\\|')

async function steps(network) {
  try {
    return await compareSteps(network)
  } catch (error) {
    if (!network.isRefused || error.stderr === undefined) throw error
    return { refused: refusal(error), compared: 0, others: [], loss: 0, weights: 0 }
  }
}

const program = createProgram(
  'networks',
  "Train others' networks: three steps against their own libraries, and a fine-tuning.",
  ['npm run networks', "npm run networks -- '^bert'", "npm run networks -- --check '^bert'"],
)
  .argument('[pattern]', 'a regular expression of names: only these, and no page')
  .option('--check', 'only the three steps, and whether the page says of them what they are')
  .action(async (pattern, { check }) => {
    const chosen = trainedNetworks().filter(({ name }) => new RegExp(pattern ?? '').test(name))
    const said = check ? readFileSync(page, 'utf8') : ''
    const [rows, tunings, wrong] = [[], [], []]
    const tuned = new Set()
    for (const network of chosen) {
      const { name, exporter } = network
      if (network.training) {
        const result = await steps(network)
        rows.push(stepsRow(network, result))
        console.log(rows.at(-1))
        if (!(result.loss < WITHIN && result.weights < WITHIN))
          wrong.push(`${name} of ${exporter}: ${JSON.stringify(result)}`)
        if (check && !said.includes(stepsStart(network, result)))
          wrong.push(`docs/networks.md does not say: ${rows.at(-1)}`)
        if (result.refused) continue
      }
      if (check || tuned.has(name)) continue
      tuned.add(name)
      const result = await tune(network)
      tunings.push(tuningRow(network, result))
      console.log(tunings.at(-1))
      if (!(result.after.loss < result.before.loss)) wrong.push(`${name} of ${exporter}: its loss does not fall`)
    }
    if (pattern === undefined && !check) writeFileSync(page, pageOf(rows, tunings))
    for (const line of wrong) console.log(`wrong: ${line}`)
    process.exitCode = wrong.length > 0 ? 1 : 0
  })
await runProgram(program, process.argv.slice(2))
