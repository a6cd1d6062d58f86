// A real browser for tests: Chromium, headless, on pages that a server on this machine hands out.
import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize, sep } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'

const executables = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const executablePath = executables.find(existsSync)

/** Whether tests that need a browser run: where one is installed, and always in CI, where they fail without one. */
export const hasBrowser = executablePath !== undefined || process.env.CI !== undefined

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
}

export interface OpenPage {
  readonly page: Page
  /** What the page wrote to the console and what it threw. */
  readonly messages: readonly string[]
  /** Address of the server, without a slash at the end. */
  readonly origin: string
  close(): Promise<void>
}

/**
 * Opens `path` of the folders, tried in this order, in a new browser. Pages are cross-origin isolated, so that WebAssembly
 * may use threads.
 */
export async function openPage(path: string, ...folders: readonly string[]): Promise<OpenPage> {
  const server = createServer((request, response) => {
    const name = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname))
    // Asked for unasked.
    if (name === '/favicon.ico') return void response.writeHead(204).end()
    const file = folders.map((folder) => join(folder, name)).find((file) => existsSync(file) && statSync(file).isFile())
    if (file === undefined || name.split(sep).includes('..')) return void response.writeHead(404).end()
    response.writeHead(200, {
      'content-type': types[extname(file)] ?? 'application/octet-stream',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
    })
    createReadStream(file).pipe(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  let browser: Browser | undefined
  const close = async () => {
    await browser?.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  try {
    if (executablePath === undefined) throw new Error('there is no Chromium: apt-get install chromium')
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
    const page = await browser.newPage({ viewport: { width: 1200, height: 900 } })
    const messages: string[] = []
    page.on('console', (message) => messages.push(message.text()))
    page.on('pageerror', (error) => messages.push(error.message))
    await page.goto(`${origin}/${path}`)
    return { page, messages, origin, close }
  } catch (error) {
    await close()
    throw error
  }
}
