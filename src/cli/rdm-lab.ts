// rdm-lab: a page that designs networks, writes them as ONNX and trains them, served to this machine.

import { fileURLToPath } from 'node:url'
import { createProgram, parsedBy, runProgram, wholeNumber } from './command.js'
import { serveLab } from './lab/server.js'
import { print } from './output.js'

/** What a browser keeps for a page, such as the state of a training, it keeps by the page's address: so the port is always the same. */
const PORT = 7317

/** Beside the compiled sources. */
const page = fileURLToPath(new URL('../../lab', import.meta.url))

export async function main(argv: string[]): Promise<void> {
  const program = createProgram('rdm-lab', 'Serve the lab to browsers on this machine, until Ctrl-C.', [
    'rdm-lab',
    'rdm-lab --port 8080',
  ])
    .option('--port <number>', 'where it listens; 0 takes any that is free', parsedBy(wholeNumber(0, 65_535)), PORT)
    .action(run)
  await runProgram(program, argv)
}

async function run({ port }: { readonly port: number }): Promise<void> {
  const { url, close } = await serveLab(page, port)
  const end = () => void close()
  process.once('SIGINT', end).once('SIGTERM', end)
  print(`rdm-lab is at ${url} (Ctrl-C ends it)\n`)
}
