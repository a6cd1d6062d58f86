// Serves folders to browsers on this machine, with the headers that give WebAssembly its threads:
//   node serve.mjs FOLDER...

import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, normalize, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
}
const isolation = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }

/** Serves the folders, tried in this order. @returns the address, without a slash at the end, and what ends it */
export async function serve(folders, { port = 0, headers = isolation } = {}) {
  const server = createServer((request, response) => {
    const name = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname))
    // Asked for unasked.
    if (name === '/favicon.ico') return void response.writeHead(204).end()
    const file = folders.map((folder) => join(folder, name)).find((file) => existsSync(file) && statSync(file).isFile())
    if (file === undefined || name.split(sep).includes('..')) return void response.writeHead(404).end()
    response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream', ...headers })
    createReadStream(file).pipe(response)
  })
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { origin } = await serve(process.argv.slice(2), { port: 8000 })
  console.log(`${origin}/train-onnxruntime.html?models=models&data=data_batch_1.bin`)
}
