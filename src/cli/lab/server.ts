// Serves a built page to browsers on this machine, and to nobody else.

import { existsSync, readFileSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import sirv from 'sirv'
import { UserError } from '../../core/errors.js'

const ADDRESS = '127.0.0.1'

type Headers = Readonly<Record<string, string>>

/** Beside those that the folder asks any host for. */
const ownHeaders: Headers = {
  'cross-origin-resource-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  // A page of another version may come from the same address.
  'cache-control': 'no-cache',
}

/** The folder's `_headers`, in the form that several hosts of files read: `/*`, then a header a line. */
function headersOf(folder: string): Headers {
  const lines = readFileSync(join(folder, '_headers'), 'utf8').split('\n').slice(1)
  const pairs = lines.flatMap((line) => {
    const [, name, value] = /^ {2}([\w-]+): (.+)$/.exec(line) ?? []
    return name !== undefined && value !== undefined ? [[name.toLowerCase(), value] as const] : []
  })
  return { ...ownHeaders, ...Object.fromEntries(pairs) }
}

function refuse(response: ServerResponse, status: number, reason: string): void {
  response.writeHead(status, { ...ownHeaders, 'content-type': 'text/plain; charset=utf-8' }).end(`${reason}\n`)
}

export interface LabServer {
  /** Where the page is, with a slash at the end. */
  readonly url: string
  close(): Promise<void>
}

/**
 * Serves the files that the folder holds now.
 * @param port 0 for any that is free
 * @throws UserError when there is no page, or the port is taken
 */
export async function serveLab(folder: string, port: number): Promise<LabServer> {
  if (!existsSync(join(folder, 'index.html')))
    throw new UserError(`there is no page in ${folder}: build it with \`npm run lab:build\``)
  const headers = headersOf(folder)
  // The files are listed once, here: what is not among them is not served, whatever a path says.
  const files = sirv(folder, {
    etag: true,
    setHeaders: (response) => {
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    },
  })
  const server = createServer((request, response) => {
    const { port: own } = server.address() as AddressInfo
    // A page elsewhere that has its own name point to this machine would read as if it were this page.
    if (![`${ADDRESS}:${own}`, `localhost:${own}`].includes(request.headers.host ?? ''))
      return refuse(response, 421, `this server answers to ${ADDRESS}:${own} alone`)
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'files are read here only')
    files(request, response, () => refuse(response, 404, 'there is no such file'))
  })
  await listening(server, port)
  return {
    url: `http://${ADDRESS}:${(server.address() as AddressInfo).port}/`,
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

const listening = (server: Server, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new UserError(`port ${port} is taken: end what listens there, or give another with --port`)
          : error,
      ),
    )
    server.listen(port, ADDRESS, resolve)
  })
