// Chromium, headless, on pages that a server on this machine hands out: what tests and the matrix of runtimes drive.

import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'
import { serve } from '../examples/serve.mjs'

const executables = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
/** The one that CHROMIUM names, or where it usually is. */
const executablePath = process.env.CHROMIUM || executables.find(existsSync)

/** Whether a browser is installed. */
export const isInstalled = executablePath !== undefined

/** Chromium; where there is none, an error says what to install. */
export async function launchBrowser(args = []) {
  if (executablePath === undefined) throw new Error('there is no Chromium: apt-get install chromium')
  return chromium.launch({ executablePath, args: ['--no-sandbox', ...args] })
}

export async function openPageWith({ folders, path, headers, args = [] }) {
  const { origin, close: closeServer } = await serve(folders, headers && { headers })
  let browser
  const close = async () => {
    await browser?.close()
    await closeServer()
  }
  try {
    browser = await launchBrowser(args)
    const page = await browser.newPage({ viewport: { width: 1200, height: 900 } })
    const messages = []
    page.on('console', (message) => messages.push(message.text()))
    page.on('pageerror', (error) => messages.push(error.message))
    await page.goto(`${origin}/${path}`)
    return { page, messages, origin, version: browser.version(), close }
  } catch (error) {
    await close()
    throw error
  }
}
