// npm run interop: the examples in every runtime, and docs/runtimes.md.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createProgram, runProgram } from '../dist/src/cli/command.js'
import { messageOf, UserError } from '../dist/src/core/errors.js'
import { folderOf, root } from './install.mjs'
import { COMPARED, documentOf, foreignTableOf, measure, measureForeign, tableOf, timed } from './matrix.mjs'
import { reference, writeNets } from './nets.mjs'
import { runtimes } from './runtimes.mjs'

const say = (text) => process.stderr.write(`${text}\n`)

function chosen(names) {
  const known = runtimes.map(({ name }) => name)
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new UserError(`there is no runtime '${unknown}'; expected some of ${known.join(', ')}`)
  return names.length === 0 ? runtimes : runtimes.filter(({ name }) => names.includes(name))
}

const program = createProgram('interop', 'Train and predict in other runtimes, and compare with the reference.', [
  'npm run interop',
  'npm run interop -- tract openvino',
  'npm run interop -- --install --quick',
])
  .argument('[runtimes...]', 'names of some; all of them write docs/runtimes.md')
  .option('--quick', 'only those that install in less than two minutes')
  .option('--install', 'install them, and run nothing')
  .action(async (names, { quick, install }) => {
    const some = chosen(names).filter((runtime) => !quick || runtime.quick)
    const missing = new Map()
    for (const runtime of some) {
      const begin = performance.now()
      try {
        await runtime.installation.install()
        say(`${runtime.name}: installed (${((performance.now() - begin) / 1000).toFixed(0)} s)`)
      } catch (error) {
        missing.set(runtime, `it cannot be installed: ${messageOf(error).split('\n').at(-1)}`)
        say(`${runtime.name}: ${missing.get(runtime)}`)
      }
    }
    if (install) {
      if (missing.size > 0)
        throw new UserError(`not installed: ${[...missing.keys()].map(({ name }) => name).join(', ')}`)
      return
    }
    const folder = folderOf('models')
    await writeNets(folder)
    const expected = await reference(folder, COMPARED)
    const expectedForeign = await reference(folder, COMPARED, 'resnet18')
    const results = []
    for (const runtime of some) {
      try {
        if (missing.has(runtime)) throw new Error(missing.get(runtime))
        const measured = await measure(runtime, folder, expected)
        results.push({ runtime, measured, foreign: await measureForeign(runtime, folder, expectedForeign) })
      } catch (error) {
        results.push({ runtime, error: messageOf(error).split('\n').at(-1) })
        say(messageOf(error))
      }
      say(tableOf(results).split('\n').at(-1))
      say(foreignTableOf(results).split('\n').at(-1))
    }
    if (some.length < runtimes.length)
      return void process.stdout.write(`${tableOf(results)}\n\n${foreignTableOf(results)}\n`)
    const [node] = runtimes
    const levels = { inline: await timed(node, folder, 'inline'), basic: await timed(node, folder, 'basic') }
    const text = documentOf(results, levels)
    await writeFile(join(root, 'docs', 'runtimes.md'), text)
    process.stdout.write(text)
  })
await runProgram(program, process.argv.slice(2))
