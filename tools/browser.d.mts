import type { Browser, Page } from 'playwright-core'

export interface OpenPage {
  readonly page: Page
  /** What the page wrote to the console and what it threw. */
  readonly messages: readonly string[]
  /** Address of the server, without a slash at the end. */
  readonly origin: string
  /** Of the browser. */
  readonly version: string
  close(): Promise<void>
}

export interface PageOptions {
  /** Served, tried in this order. */
  readonly folders: readonly string[]
  /** Of the page, without a slash at the beginning. */
  readonly path: string
  /** Of every answer; unless given those that isolate pages, so that WebAssembly may use threads. */
  readonly headers?: Readonly<Record<string, string>>
  /** More arguments of the browser. */
  readonly args?: readonly string[]
}

/** Whether a browser is installed. */
export const isInstalled: boolean

/** A new browser; where none is installed, an error says how to. */
export function launchBrowser(args?: readonly string[]): Promise<Browser>

/** Opens a page in a new browser. */
export function openPageWith(options: PageOptions): Promise<OpenPage>
