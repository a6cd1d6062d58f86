// The programs and commands that README.md and docs/ show, taken from the text and run.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'vitest'

const run = promisify(execFile)
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** Code blocks of one language, in order. */
export async function blocks(file: string, language: string): Promise<string[]> {
  const text = await readFile(join(root, file), 'utf8')
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map((match) => match[1]!)
}

/** The only block of a language that holds a text. */
export async function block(file: string, language: string, text: string): Promise<string> {
  const found = (await blocks(file, language)).filter((source) => source.includes(text))
  expect(found, `${file}: blocks in ${language} that hold “${text}”`).toHaveLength(1)
  return found[0]!
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

/** What takes the place of what, so that it takes seconds here. */
export type Changes = readonly (readonly [from: string | RegExp, to: string])[]

/** What commands print that work in a folder. Each of the changes has to change something. */
export async function runCommands(folder: string, script: string, changes: Changes = []): Promise<string> {
  const small = changes.reduce((text, [from, to]) => {
    const changed = text.replaceAll(typeof from === 'string' ? from : new RegExp(from, 'gm'), to)
    expect(changed, `${from} in ${text}`).not.toBe(text)
    return changed
  }, script)
  const here = small
    .replace(/npx (rdm-\w+)/g, `'${process.execPath}' '${join(root, 'bin')}/$1.js'`)
    .replace(/\bnode examples\//g, `'${process.execPath}' '${join(root, 'examples')}'/`)
  expect(here).not.toContain('npx')
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', here], { cwd: folder })
  return stdout
}

export const fixture = (name: string): string => join(root, 'test', 'fixtures', 'networks', name)

/** Whether what a test needs is there. Where CI says that it is, it fails without. */
export const isThere = (path: string): boolean => existsSync(join(root, path)) || process.env.CI !== undefined
