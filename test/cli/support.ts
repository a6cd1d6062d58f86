// Running the commands as a user does, in processes of their own.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Finished {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

/** Path of a command's file, `rdm-fit` for one. */
export const commandFile = (name: string): string => fileURLToPath(new URL(`../../bin/${name}.js`, import.meta.url))

export interface Running {
  readonly child: ChildProcess
  readonly finished: Promise<Finished>
}

/** Starts a command; `onLine` sees each line of standard output as it comes. */
export function start(name: string, argv: readonly string[], onLine?: (line: string) => void): Running {
  const child = spawn(process.execPath, [commandFile(name), ...argv], { stdio: ['ignore', 'pipe', 'pipe'] })
  let [out, err, rest] = ['', '', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    if (onLine) lines.forEach(onLine)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  const finished = new Promise<Finished>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, out, err }))
  })
  return { child, finished }
}

/** Runs a command to its end, with `input` on standard input. */
export function run(name: string, argv: readonly string[], input?: Uint8Array): Finished {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [commandFile(name), ...argv], {
    input: input ?? '',
    encoding: 'utf8',
  })
  return { code: status, signal, out: stdout, err: stderr }
}

/**
 * What each of the command lines prints, both streams together, behind its exit code. All of them in one process, one after
 * another: what a failed command leaves behind for the end of the process must not end the next one's.
 */
export function runAll(name: string, lines: readonly (readonly string[])[]): string[] {
  const script = `const { main } = await import('./dist/src/cli/${name}.js')
    process.exit = () => {}
    const results = []
    for (const argv of JSON.parse(process.argv[1])) {
      let printed = ''
      for (const stream of [process.stdout, process.stderr]) stream.write = (text) => { printed += text }
      process.exitCode = 0
      await main(argv)
      results.push(process.exitCode + ' ' + printed)
    }
    process.exitCode = 0
    for (const stream of [process.stdout, process.stderr]) delete stream.write
    process.stdout.write(JSON.stringify(results))`
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', script, JSON.stringify(lines)],
    { cwd: fileURLToPath(new URL('../..', import.meta.url)), encoding: 'utf8' },
  )
  if (status !== 0 || stderr !== '') throw new Error(`code ${status}: ${stderr}`)
  return JSON.parse(stdout)
}

/** Writes a small residual network to `folder` and returns the file's path. */
export function exportTiny(folder: string, ...argv: string[]): string {
  const path = join(folder, 'tiny.onnx')
  const { code, err } = run('rdm-export', ['--depth', '8', '--widths', '4,4,8', '--out', path, ...argv])
  if (code !== 0) throw new Error(err)
  return path
}

/** Writes a small data set to `folder`/data and returns its path. */
export function synthesizeTiny(folder: string): string {
  const path = join(folder, 'data')
  const { code, err } = run('rdm-data', ['synth', path, '--train', '40', '--test', '20'])
  if (code !== 0) throw new Error(err)
  return path
}
