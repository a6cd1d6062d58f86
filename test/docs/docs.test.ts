// The programs and commands of README.md and docs/ really run, and print what the text says.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))

/** Code blocks of one language, in order. */
async function blocks(file: string, language: string): Promise<string[]> {
  const text = await readFile(join(root, file), 'utf8')
  return [...text.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map((match) => match[1]!)
}

let folder: string
// Programs lie inside the package, so that they can import it by its name; they work in a folder of their own.
const program = join(root, 'dist', `docs-test-${process.pid}.mjs`)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rdm-docs-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await rm(program, { force: true })
})

async function runProgram(source: string): Promise<string> {
  await writeFile(program, source)
  const { stdout, stderr } = await run(process.execPath, [program], { cwd: folder })
  expect(stderr).toBe('')
  return stdout
}

describe('docs/dsl.md', () => {
  it('builds an architecture of its own and trains it', async () => {
    const [source] = await blocks('docs/dsl.md', 'js')
    const errors = (await runProgram(source!)).match(/[\d.]+(?= % test error)/g)!.map(Number)
    expect(errors).toHaveLength(3)
    // Chance is 90 %.
    expect(errors.at(-1)).toBeLessThan(80)
  })

  it('differentiates twice, with the numbers that it says', async () => {
    const [, source] = await blocks('docs/dsl.md', 'js')
    expect(await runProgram(source!)).toContain(/\/\/ (\[ \[.*)$/m.exec(source!)![1]!)
  })
})
