// The programs and commands that README.md and docs/ show, taken from the text and run.
import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))

/** Code blocks of one language, in order. */
export async function blocks(file: string, language: string): Promise<string[]> {
  const text = await readFile(join(root, file), 'utf8')
  return [...text.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map((match) => match[1]!)
}

let programs = 0

/** What a program prints that works in a folder. It lies inside the package, so that it can import it by its name. */
export async function runProgram(folder: string, source: string): Promise<string> {
  const program = join(root, 'dist', `docs-test-${process.pid}-${programs++}.mjs`)
  await writeFile(program, source)
  try {
    const { stdout, stderr } = await run(process.execPath, [program], { cwd: folder })
    expect(stderr).toBe('')
    return stdout
  } finally {
    await rm(program, { force: true })
  }
}

/** What commands print that work in a folder. */
export async function runCommands(folder: string, script: string): Promise<string> {
  const here = script.replace(/npx (rdm-\w+)/g, `'${process.execPath}' '${join(root, 'bin')}/$1.js'`)
  expect(here).not.toContain('npx')
  const { stdout } = await run('bash', ['-euc', here], { cwd: folder })
  return stdout
}
