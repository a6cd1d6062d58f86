// The frame of all commands: exit codes, one-line messages, option values.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { InvalidArgumentError } from 'commander'
import { beforeAll, describe, expect, test } from 'vitest'
import { decimalNumber, parsedBy, seedNumber, wholeNumber } from '../../src/cli/command.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Runs a program of one action, in a process of its own as a command would be. */
function run(action: string, ...argv: string[]) {
  const script = `
    import { createProgram, parsedBy, wholeNumber, runProgram } from './dist/src/cli/command.js'
    import { UserError } from './dist/src/core/errors.js'
    const program = createProgram('tool', 'A tool.', ['tool --count 3'])
      .option('--count <number>', 'how many', parsedBy(wholeNumber(1, 9)), 1)
      .action(async (options) => { ${action} })
    await runProgram(program, process.argv.slice(1))`
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', script, '--', ...argv], {
    cwd: root,
    encoding: 'utf8',
  })
  return { code: result.status, out: result.stdout, err: result.stderr }
}

beforeAll(() => {
  // Compiles dist when it is out of date.
  expect(spawnSync(process.execPath, ['tools/build.mjs'], { cwd: root, encoding: 'utf8' }).stderr).toBe('')
})

describe('runProgram', () => {
  test('a command that succeeds: exit code 0, parsed values', () => {
    expect(run('console.log(options.count + 1)', '--count', '3')).toEqual({ code: 0, out: '4\n', err: '' })
  })
  test('bad input: one line, exit code 2, the stack only with --verbose', () => {
    const action = "throw new UserError('x.bin: too\\n  short')"
    expect(run(action)).toEqual({ code: 2, out: '', err: 'tool: x.bin: too short\n' })
    expect(run(action, '--verbose').err).toMatch(/^tool: x\.bin: too short\nUserError: .*\n(.*\n)* {4}at /)
  })
  test('a failed system call is bad input', () => {
    const { code, err } = run("await (await import('node:fs/promises')).readFile('/no/such/file')")
    expect({ code, err }).toEqual({
      code: 2,
      err: "tool: ENOENT: no such file or directory, open '/no/such/file'\n",
    })
  })
  test('a fault of ours: exit code 1 and where to see more', () => {
    const expected = 'tool: internal error: boom (run again with --verbose for the stack trace)\n'
    expect(run("throw new Error('boom')")).toEqual({ code: 1, out: '', err: expected })
    expect(run("setTimeout(() => { throw new Error('boom') })")).toEqual({ code: 1, out: '', err: expected })
    expect(run("throw new Error('boom')", '--verbose').err).toMatch(/^tool: internal error: boom\nError: boom\n {4}at /)
  })
  test('a failed command ends although something is left open', () => {
    expect(run("setInterval(() => {}, 50); throw new UserError('no')").code).toBe(2)
  })
  test('unknown options and arguments: one line with the nearest name', () => {
    expect(run('', '--cuont', '3')).toEqual({
      code: 2,
      out: '',
      err: "tool: unknown option '--cuont' (Did you mean --count?)\n",
    })
    expect(run('', 'extra')).toMatchObject({ code: 2, err: expect.stringMatching(/^tool: too many arguments.*\n$/) })
  })
  test('a value that does not fit: the option, the value, what was expected', () => {
    expect(run('', '--count', '12').err).toBe(
      "tool: option '--count <number>' argument '12' is invalid. Expected a whole number from 1 to 9\n",
    )
  })
  test('help with examples, and the version', () => {
    const help = run('', '--help')
    expect(help).toMatchObject({ code: 0, err: '' })
    expect(help.out).toContain('Examples:\n  $ tool --count 3\n')
    expect(run('', '--version')).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), err: '' })
  })
  test('a reader that goes away ends the command quietly; a full disk does not pass unseen', () => {
    const endless = "const more = () => { process.stdout.write('x'.repeat(65536)); setImmediate(more) }; more()"
    const script = `
      import { createProgram, runProgram } from './dist/src/cli/command.js'
      await runProgram(createProgram('tool', '', []).action(async () => { ${endless} }), [])`
    const shell = (sink: string) =>
      spawnSync('sh', ['-c', `"$0" --input-type=module -e "$1" ${sink}`, process.execPath, script], {
        cwd: root,
        encoding: 'utf8',
      })
    expect(shell('| head -c 10')).toMatchObject({ stdout: 'x'.repeat(10), stderr: '' })
    expect(shell('> /dev/full')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^tool: cannot write to standard output: ENOSPC.*\n$/),
    })
  })
})

describe('option values', () => {
  const refusal = (parse: (text: string) => unknown, text: string) => {
    try {
      return `accepted ${String(parse(text))}`
    } catch (error) {
      return error instanceof InvalidArgumentError ? error.message : error
    }
  }
  test('whole numbers', () => {
    const parse = parsedBy(wholeNumber(-2, 10))
    expect(['-2', '0', '10'].map(parse)).toEqual([-2, 0, 10])
    for (const text of ['', ' ', '-3', '11', '1.0', '0x1', '1e1', 'NaN', '9'.repeat(400)])
      expect(refusal(parse, text)).toBe('Expected a whole number from -2 to 10')
  })
  test('decimal numbers', () => {
    const parse = parsedBy(decimalNumber(0, 1))
    expect(['0', '1e-4', '.5', '1.', '2.5E-1'].map(parse)).toEqual([0, 1e-4, 0.5, 1, 0.25])
    for (const text of ['', '-0.1', '1.01', 'Infinity', '0x1', '.', '1e', '1e999'])
      expect(refusal(parse, text)).toBe('Expected a number from 0 to 1')
  })
  test('seeds', () => {
    expect(parsedBy(seedNumber)('9007199254740991')).toBe(Number.MAX_SAFE_INTEGER)
    expect(refusal(parsedBy(seedNumber), '-1')).toMatch(/^Expected a whole number from 0 to /)
  })
})
