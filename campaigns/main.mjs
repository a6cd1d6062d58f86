// npm run campaign: what goes wrong around a run is made to go wrong, many times, and docs/reliability.md says what came of it.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createProgram, parsedBy, runProgram, seedNumber } from '../dist/src/cli/command.js'
import { UserError } from '../dist/src/core/errors.js'
import { campaigns } from './campaigns.mjs'
import { documentOf, resultOf } from './document.mjs'

const root = join(import.meta.dirname, '..')
const resultFile = (name) => join(root, 'campaigns/results', `${name}.json`)
const say = (text) => process.stderr.write(`${text}\n`)

function chosen(names) {
  const known = Object.keys(campaigns)
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new UserError(`there is no campaign '${unknown}'; expected some of ${known.join(', ')}`)
  return names.length === 0 ? known : names
}

const keptResults = () =>
  Object.fromEntries(
    Object.keys(campaigns)
      .filter((name) => existsSync(resultFile(name)))
      .map((name) => [name, JSON.parse(readFileSync(resultFile(name), 'utf8'))]),
  )

const program = createProgram('campaign', 'Make things go wrong around runs, and say what came of it.', [
  'npm run campaign',
  'npm run campaign -- killed --seed 2',
  'npm run campaign -- --short',
])
  .argument('[names...]', `some of ${Object.keys(campaigns).join(', ')}; all of them when left out`)
  .option('--short', 'the form that the tests run, in a minute or two each; keeps no figures')
  .option('--seed <n>', 'draws the moments and the mutations', parsedBy(seedNumber), 1)
  .action(async (names, { short = false, seed }) => {
    let faults = 0
    for (const name of chosen(names)) {
      const { title, run } = campaigns[name]
      say(`${name}: ${title} …`)
      const folder = mkdtempSync(join(tmpdir(), `rdm-campaign-${name}-`))
      const begun = performance.now()
      const found = await run({ short, seed, folder, say: (text) => say(`  ${text}`) })
      const result = resultOf({ ...found, seed, seconds: (performance.now() - begun) / 1000 })
      for (const row of [result.columns, ...result.rows]) process.stdout.write(`${row.join('\t')}\n`)
      for (const fault of result.faults) process.stdout.write(`FAULT\t${fault}\n`)
      faults += result.faults.length
      // What went wrong is looked at where it lies.
      if (result.faults.length === 0) rmSync(folder, { recursive: true, force: true })
      else say(`  what it left is in ${folder}`)
      mkdirSync(dirname(resultFile(name)), { recursive: true })
      if (!short) writeFileSync(resultFile(name), `${JSON.stringify(result, null, 2)}\n`)
    }
    if (!short) writeFileSync(join(root, 'docs/reliability.md'), documentOf(campaigns, keptResults()))
    if (faults > 0) process.exitCode = 1
  })

await runProgram(program, process.argv.slice(2))
