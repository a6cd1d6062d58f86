// A server of files that behaves in every way that a server should not.

import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const startOf = (request) => Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)

/** The rest of the file that was asked for, as a proper server sends it. @returns the bytes of the body */
function head(request, response, body, length = (rest) => rest.length) {
  const start = startOf(request)
  const rest = body.subarray(start)
  const range = start > 0 ? { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` } : {}
  response.writeHead(start > 0 ? 206 : 200, { ...range, 'content-length': length(rest) })
  return rest
}

/** By name: what it does with a request; `at` is a number in [0, 1). */
const manners = {
  well: (request, response, body) => response.end(head(request, response, body)),
  'cut off': (request, response, body, at) => {
    const rest = head(request, response, body)
    response.write(rest.subarray(0, Math.ceil(at * (rest.length - 1))), () => setTimeout(() => response.destroy(), 5))
  },
  async slow(request, response, body) {
    const rest = head(request, response, body)
    for (let i = 0; i < 20 && !response.destroyed; i++) {
      const [from, to] = [i, i + 1].map((k) => Math.floor((k * rest.length) / 20))
      response.write(rest.subarray(from, to))
      await sleep(50)
    }
    response.end()
  },
  'says too many bytes': (request, response, body) => {
    response.write(
      head(request, response, body, (rest) => rest.length + 999),
      () => setTimeout(() => response.destroy(), 5),
    )
  },
  'says too few bytes': (request, response, body, at) => {
    const length = Math.floor(at * (body.length - startOf(request)))
    const rest = head(request, response, body, () => length)
    response.end(rest.subarray(0, length))
  },
  'says no length, sends less': (_, response, body, at) =>
    response.writeHead(200).end(body.subarray(0, Math.floor(at * body.length))),
  'says no length, sends more': (_, response, body) =>
    response.writeHead(200).end(Buffer.concat([body, Buffer.alloc(5000)])),
  'sends another file of that length': (_, response, body) => response.end(Buffer.alloc(body.length, 7)),
  'sends another range': (request, response, body) => {
    const start = Math.max(0, startOf(request) - 10)
    const range = `bytes ${start}-${body.length - 1}/${body.length}`
    response.writeHead(206, { 'content-range': range }).end(body.subarray(start))
  },
  'ignores ranges': (_, response, body) => response.writeHead(200, { 'content-length': body.length }).end(body),
  'answers 500': (_, response) => response.writeHead(500).end('<html>busy</html>'),
  'leads in a circle': (request, response) => response.writeHead(302, { location: request.url }).end(),
  'closes at once': (request) => request.socket.destroy(),
}
export const mannerNames = Object.keys(manners)

/** @param bodyOf the bytes of a path, undefined for what it has not; `behave` says how it behaves from now on */
export async function startBadServer(bodyOf) {
  let manner = { name: 'well', at: 0 }
  const server = createServer((request, response) => {
    // Who asked may be dead by now.
    response.on('error', () => {})
    const body = bodyOf(request.url)
    if (!body) return response.writeHead(404).end()
    return manners[manner.name](request, response, body, manner.at)
  })
  server.on('clientError', (_, socket) => socket.destroy())
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    behave: (name, at) => {
      manner = { name, at }
    },
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
