// What SemVer covers, as lists: docs/stability.md says what a change of each costs. UPDATE=1 writes the lists anew.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import * as core from '../src/core/index.js'
import { operators } from '../src/core/ops/index.js'

const root = join(import.meta.dirname, '..')
// The TypeScript that is written in JavaScript has an API; it comes with TypeDoc, which needs it.
const ts: typeof import('../tools/api/node_modules/typescript/lib/typescript.js') = createRequire(
  join(root, 'tools', 'api', 'package.json'),
)('typescript')

const entryPoints = {
  'rdm-onnx': 'dist/src/index.d.ts',
  'rdm-onnx/core': 'dist/src/core/index.d.ts',
  'rdm-onnx/web': 'dist/src/web/index.d.ts',
}
const files = Object.values(entryPoints).map((file) => join(root, file))
const program = ts.createProgram(files, {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2023,
  types: ['node'],
  typeRoots: [join(root, 'node_modules', '@types')],
  skipLibCheck: true,
})
const checker = program.getTypeChecker()

/** The exports of an entry point, each with whether it is a value, a type or both, and what its docstring says. */
function exportsOf(file: string) {
  const module = checker.getSymbolAtLocation(program.getSourceFile(join(root, file))!)!
  return checker.getExportsOfModule(module).map((name) => {
    const symbol = name.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(name) : name
    const kinds = [
      ...(symbol.flags & ts.SymbolFlags.Value ? ['value'] : []),
      ...(symbol.flags & ts.SymbolFlags.Type ? ['type'] : []),
    ]
    const text = [name, symbol].map((each) => ts.displayPartsToString(each.getDocumentationComment(checker))).join('')
    return { name: name.name, kind: kinds.join(' and '), text }
  })
}

/** The list in the file is the one that is found, or is replaced by it. */
function compare(file: string, found: readonly string[]): void {
  const path = join(root, 'test', 'stability', file)
  if (process.env.UPDATE) writeFileSync(path, `${found.join('\n')}\n`)
  const listed = readFileSync(path, 'utf8').trimEnd().split('\n')
  const added = found.filter((line) => !listed.includes(line))
  const gone = listed.filter((line) => !found.includes(line))
  const told = [
    ...(added.length > 0
      ? [
          `New: ${added.join(', ')}.\nSay so in CHANGELOG.md under Added; it is kept until the next major version. Where it is nobody's ` +
            'business, do not export it.',
        ]
      : []),
    ...(gone.length > 0
      ? [
          `Gone: ${gone.join(', ')}.\nThat breaks what others wrote: keep it, deprecated, until the next major version ` +
            '(docs/stability.md), or make that version.',
        ]
      : []),
  ]
  if (told.length > 0)
    expect.fail(
      `${told.join('\n')}\nThen \`UPDATE=1 npx vitest run test/stability.test.ts\` writes test/stability/${file} anew.`,
    )
}

describe('the library', () => {
  it.each(Object.entries(entryPoints))('%s exports the names that are listed, each with a docstring', (entry, file) => {
    const found = exportsOf(file)
    compare(`${entry.replace('/', '-')}.txt`, found.map(({ name, kind }) => `${name} (${kind})`).sort())
    expect(found.filter(({ text }) => text.trim() === '').map(({ name }) => name)).toEqual([])
  })

  it('exports the record of every operator', () => {
    const exported = new Set<unknown>(Object.values(core))
    expect(operators.filter((operator) => !exported.has(operator)).map(({ name }) => name)).toEqual([])
  })
})

/** The terms of a section of a help text: `--epochs <count>` of Options, `<model>` of Arguments. */
function termsOf(text: string, section: string): string[] {
  const [, body = ''] = new RegExp(`^${section}:\n((?: {2}.*\n)+)`, 'm').exec(`${text}\n`) ?? []
  return [...body.matchAll(/^ {2}(\S.*?) {2,}\S/gm)].map(([, term]) => term!)
}

/** What each command, and each of its subcommands, prints for --help: all of it from one process. */
function helpTexts(): ReadonlyMap<string, string> {
  const names = readdirSync(join(root, 'bin'))
    .map((file) => file.replace('.js', ''))
    .filter((name) => name !== 'launch')
    .sort()
  const script = `const texts = {}
    let printed
    process.exit = () => {}
    process.stdout.write = (text) => { printed += text }
    for (const name of JSON.parse(process.argv[1])) {
      const { main } = await import('./dist/src/cli/' + name + '.js')
      const help = async (...path) => {
        printed = ''
        await main([...path, '--help'])
        texts[[name, ...path].join(' ')] = printed
        return printed
      }
      const [, parts = ''] = /^Commands:\\n((?: {2}.*\\n)+)/m.exec(await help()) ?? []
      for (const [, part] of parts.matchAll(/^ {2}([a-z][\\w-]*)/gm)) await help(part)
    }
    delete process.stdout.write
    process.stdout.write(JSON.stringify(texts))`
  const argv = ['--input-type=module', '-e', script, JSON.stringify(names)]
  return new Map(Object.entries(JSON.parse(execFileSync(process.execPath, argv, { cwd: root, encoding: 'utf8' }))))
}

describe('the commands', () => {
  it('take the arguments and options that are listed', () => {
    const found = [...helpTexts()].flatMap(([command, text]) =>
      ['Arguments', 'Options'].flatMap((section) => termsOf(text, section).map((term) => `${command} ${term}`)),
    )
    expect(found.length).toBeGreaterThan(150)
    compare('commands.txt', found)
  })
})
