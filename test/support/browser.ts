// A real browser for tests: Chromium, headless, on pages that a server on this machine hands out.
import { isInstalled, type OpenPage, openPageWith } from '../../tools/browser.mjs'

/** Whether tests that need a browser run: where one is installed, and always in CI, where they fail without one. */
export const hasBrowser = isInstalled || process.env.CI !== undefined

/**
 * Opens `path` of the folders, tried in this order, in a new browser. Pages are cross-origin isolated, so that WebAssembly
 * may use threads.
 */
export const openPage = (path: string, ...folders: readonly string[]): Promise<OpenPage> =>
  openPageWith({ path, folders })
