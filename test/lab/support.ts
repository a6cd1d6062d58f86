// The built page in Chromium, served as rdm-lab serves it.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { serveLab } from '../../src/cli/lab/server.js'

const folder = join(import.meta.dirname, '..', '..', 'dist', 'lab')
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)!

export interface Lab {
  /** A page of the lab in a context of its own. Everything it says to the console or asks of elsewhere is in `complaints`. */
  open(hash?: string, options?: BrowserContextOptions): Promise<{ page: Page; complaints: string[] }>
  readonly url: string
  close(): Promise<void>
}

export async function openLab(args: readonly string[] = []): Promise<Lab> {
  const server = await serveLab(folder, 0)
  let browser: Browser
  try {
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox', ...args] })
  } catch (error) {
    await server.close()
    throw error
  }
  return {
    url: server.url,
    async open(hash = '', options = {}) {
      const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options })
      const page = await context.newPage()
      const complaints: string[] = []
      page.on('console', (message) => complaints.push(message.text()))
      page.on('pageerror', (error) => complaints.push(error.message))
      page.on('request', (request) => {
        const asked = request.url()
        if (!asked.startsWith(server.url) && !/^(blob|data):/.test(asked)) complaints.push(`asks for ${asked}`)
      })
      await page.goto(`${server.url}${hash}`)
      return { page, complaints }
    },
    async close() {
      await browser.close()
      await server.close()
    },
  }
}
