// npm run conformance: ONNX's own tests, and docs/conformance.md.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createProgram, runProgram } from '../dist/src/cli/command.js'
import { counted, kindOf, pageOf } from './page.mjs'
import { root, runSuites } from './suites.mjs'

const program = createProgram('conformance', "Read and evaluate ONNX's own tests.", [
  'npm run conformance',
  "npm run conformance -- '^test_lstm'",
])
  .argument('[pattern]', 'a regular expression of names: only these tests, one by one, and no page')
  .action((pattern) => {
    const suites = runSuites(pattern)
    for (const { name, results } of suites) {
      if (pattern !== undefined)
        for (const { test, verdict, why } of results) console.log(`${verdict.padEnd(8)}${test}${why ? `: ${why}` : ''}`)
      console.log(
        `${name}: ${counted(results.map(({ verdict }) => verdict))
          .map(([verdict, count]) => `${count} ${verdict}`)
          .join(', ')}`,
      )
    }
    const all = suites.flatMap(({ results }) => results)
    if (pattern === undefined) {
      const refused = all.filter(({ verdict }) => verdict === 'refused').map(({ why }) => kindOf(why))
      for (const [kind, count] of counted(refused)) console.log(`${String(count).padStart(6)} refused: ${kind}`)
      writeFileSync(join(root, 'docs', 'conformance.md'), pageOf(suites))
    }
    const wrong = all.filter(({ verdict }) => verdict === 'wrong')
    for (const { test, why } of wrong) console.log(`wrong: ${test}: ${why}`)
    process.exitCode = wrong.length > 0 ? 1 : 0
  })
await runProgram(program, process.argv.slice(2))
