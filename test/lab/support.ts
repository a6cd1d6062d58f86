// The built page in Chromium, served as rdm-lab serves it.
import { join } from 'node:path'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { serveLab } from '../../src/cli/lab/server.js'
import { launchBrowser } from '../../tools/browser.mjs'

const folder = join(import.meta.dirname, '..', '..', 'dist', 'lab')

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
    browser = await launchBrowser(args)
  } catch (error) {
    await server.close()
    throw error
  }
  return {
    url: server.url,
    async open(hash = '', options = {}) {
      const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options })
      context.setDefaultTimeout(100_000)
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
