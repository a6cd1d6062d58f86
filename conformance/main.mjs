// npm run conformance: ONNX's own tests, networks that others made, and docs/conformance.md.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createProgram, runProgram } from '../dist/src/cli/command.js'
import { root } from './files.mjs'
import { fetchTrained } from './networks.mjs'
import { counted, kindOf, pageOf } from './page.mjs'
import { runCases, runNetworks } from './suites.mjs'

const program = createProgram(
  'conformance',
  "Read, evaluate and differentiate ONNX's own tests and others' networks.",
  ['npm run conformance', "npm run conformance -- '^test_lstm'"],
)
  .argument('[pattern]', 'a regular expression of names: only these, one by one, and no page')
  .action(async (pattern) => {
    fetchTrained()
    const cases = runCases(pattern)
    for (const { name, results } of cases) {
      if (pattern !== undefined)
        for (const { test, verdict, why } of results) console.log(`${verdict.padEnd(8)}${test}${why ? `: ${why}` : ''}`)
      const verdicts = counted(results.map(({ verdict }) => verdict)).map(([verdict, count]) => `${count} ${verdict}`)
      if (results.length > 0) console.log(`${name}: ${verdicts.join(', ')}`)
    }
    const networks = await runNetworks(pattern, ({ test, verdict, outputs, gradient }) => {
      const figures =
        gradient === undefined ? '' : `outputs ${outputs.toExponential(1)}, gradient ${gradient.toExponential(1)}`
      console.log(`${verdict.padEnd(8)}${test} ${figures}`)
    })
    const all = [...cases, ...networks].flatMap(({ results }) => results)
    if (pattern === undefined) {
      const refused = all.filter(({ verdict }) => verdict === 'refused').map(({ why }) => kindOf(why))
      for (const [kind, count] of counted(refused)) console.log(`${String(count).padStart(6)} refused: ${kind}`)
      writeFileSync(join(root, 'docs', 'conformance.md'), pageOf(cases, networks))
    }
    const wrong = all.filter(({ verdict }) => verdict === 'wrong')
    for (const { test, why } of wrong) console.log(`wrong: ${test}: ${why}`)
    process.exitCode = wrong.length > 0 ? 1 : 0
  })
await runProgram(program, process.argv.slice(2))
