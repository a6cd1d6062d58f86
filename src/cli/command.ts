// What every command shares: how a commander program is made and run, how failures are reported, how option values
// are checked.
//
//   export async function main(argv: string[]): Promise<void> {
//     const program = createProgram('rdm-thing', 'Do the thing.', ['rdm-thing --epochs 3 model.onnx'])
//       .argument('<model>', 'the model file')
//       .option('--epochs <count>', 'how often to see the data', parsedBy(wholeNumber(1, 10_000)), 165)
//       .action(async (model: string, options: { epochs: number }) => { … throw new UserError('…') … })
//     await runProgram(program, argv)
//   }

import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import { messageOf, UserError } from '../core/errors.js'
import { installHint } from '../driver/optional.js'
import { ownPackage } from '../driver/package.js'
import { printable } from './output.js'

export { decimalNumber, seedNumber, wholeNumber } from '../study/text.js'

/** What a command ends with. 130, the end by Ctrl-C, is the business of the command that handles it. */
export const exitCodes = { ok: 0, internalError: 1, badInput: 2 } as const

/**
 * A commander program (or, by `program.addCommand`, one of its subcommands) whose help ends with these examples.
 * Write each example as a user would type it.
 */
export function createProgram(name: string, description: string, examples: readonly string[]): Command {
  const lines = examples.map((example) => `  $ ${example}`)
  return new Command(name).description(description).addHelpText('after', ['', 'Examples:', ...lines].join('\n'))
}

/**
 * Runs the program with the arguments that follow its name, and sets the exit code of the process:
 * - bad input (a UserError, an unknown option, a value that does not fit, a failed system call): 2
 * - any other error, which is a fault of ours: 1
 *
 * Either is one line on standard error; `--verbose`, which every program gets here, adds the stack trace.
 * A reader that closes our standard output early (`… | head`) ends the process quietly. Never rejects.
 */
export async function runProgram(program: Command, argv: readonly string[]): Promise<void> {
  const verbose = argv.includes('--verbose')
  const report = (error: unknown) => reportFailure(program.name(), error, verbose)
  guardProcess(report)
  program.version(ownPackage()?.version ?? 'unknown', '--version', 'print the version')
  prepare(program)
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    process.exitCode = report(error)
    // A worker or a socket that the failed command left open must not keep the process from ending.
    if (process.exitCode !== exitCodes.ok) setTimeout(() => process.exit(), 1000).unref()
  }
}

/** Makes commander throw rather than exit and print, in the program and all its subcommands. */
function prepare(command: Command): void {
  command.exitOverride().configureOutput({ outputError: () => {} })
  command.option('--verbose', 'when something fails, print the stack trace too')
  if (command.commands.length > 0) {
    command.helpCommand(false)
    // One that does something itself, besides its subcommands, says how it is used.
    if (command.registeredArguments.length === 0) command.usage('<command> [options]')
  }
  for (const child of command.commands) prepare(child)
}

/** Prints what went wrong as one line, and returns the exit code that it calls for. */
function reportFailure(name: string, error: unknown, verbose: boolean): number {
  if (error instanceof CommanderError && (error.exitCode === 0 || error.code === 'commander.help')) {
    // Help or the version was printed: as asked for, or because a program of subcommands was given none.
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.badInput
  }
  const missing = installHint(error)
  const expected =
    missing !== undefined || error instanceof UserError || error instanceof CommanderError || isSystemError(error)
  const message = oneLine(missing ?? messageOf(error)).replace(/^error: /, '')
  const hint = expected || verbose ? '' : ' (run again with --verbose for the stack trace)'
  process.stderr.write(printable(`${name}: ${expected ? '' : 'internal error: '}${message}${hint}\n`))
  if (verbose && error instanceof Error) process.stderr.write(printable(`${error.stack}\n`))
  return expected ? exitCodes.badInput : exitCodes.internalError
}

/** A failed system call (no such file, no permission, disk full): the surroundings are at fault, not the program. */
const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && 'syscall' in error && 'code' in error

const oneLine = (text: string) => text.trim().replace(/\s*\n\s*/g, ' ')

let guarded = false

/** Handles what no `try` sees: a closed or full standard output, an error thrown in an event handler. */
function guardProcess(report: (error: unknown) => number): void {
  if (guarded) return
  guarded = true
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.ok)
    process.exit(report(new UserError(`cannot write to standard output: ${error.message}`)))
  })
  process.stderr.on('error', () => process.exit(exitCodes.internalError))
  process.on('uncaughtException', (error) => process.exit(report(error)))
}

/**
 * A commander argument parser from a zod schema that takes the text of the option. Where the schema refuses, the user
 * reads: option '--batch <images>' argument 'x' is invalid. Expected a whole number from 1 to 65536
 */
export function parsedBy<T>(schema: z.core.$ZodType<T, string>): (text: string) => T {
  return (text) => {
    const result = z.safeParse(schema, text)
    if (result.success) return result.data
    throw new InvalidArgumentError(result.error.issues.map((issue) => oneLine(issue.message)).join('; '))
  }
}

/** As `parsedBy`, for an option that may be given several times: all its values, in their order. */
export function collectedBy<T>(
  schema: z.core.$ZodType<T, string>,
): (text: string, earlier?: readonly T[]) => readonly T[] {
  const parse = parsedBy(schema)
  return (text, earlier = []) => [...earlier, parse(text)]
}

/** Text like `beta2=0.95`. */
export const namedNumber: z.ZodType<readonly [string, number], string> = z.string().transform((text, context) => {
  const [, name, value] = /^\s*([A-Za-z_][\w.]*)\s*=\s*(-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*$/i.exec(text) ?? []
  if (name !== undefined && value !== undefined) return [name, Number(value)] as const
  context.addIssue(`"${text}" sets nothing: write NAME=NUMBER, as in beta2=0.95`)
  return z.NEVER
})

/** Text like `images=pixels`. */
export const namedColumn: z.ZodType<readonly [string, string], string> = z.string().transform((text, context) => {
  const at = text.indexOf('=')
  if (at > 0 && at < text.length - 1) return [text.slice(0, at).trim(), text.slice(at + 1).trim()] as const
  context.addIssue(`"${text}" names no column: write INPUT=COLUMN, as in images=pixels`)
  return z.NEVER
})
