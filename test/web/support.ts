// A page that trains: Chromium on the modules that the package hands out, beside onnxruntime-web as npm puts it.
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { adamw, exportModel, type FitEvent, type Recipe, recipes, residualNetwork } from 'rdm-onnx'
import { onTestFinished } from 'vitest'
import { base } from '../../graphs/entry.js'
import type { ExportOptions } from '../../src/core/model/write.js'
import { openPageWith } from '../../tools/browser.mjs'

const root = join(import.meta.dirname, '..', '..')

/** An adapter in software, where the machine has no GPU. */
const gpu = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']

export interface TrainingPage {
  readonly page: Page
  readonly messages: readonly string[]
  /** Loads the page anew, as after the tab was closed: its storage is still there. */
  reload(): Promise<void>
  /** Runs the body of an async function in the page; bytes come back as bytes. */
  run<T>(body: string, parameters?: Readonly<Record<string, unknown>>): Promise<T>
}

interface PageOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Of the browser; unless given those that give it a GPU. */
  readonly args?: readonly string[]
}

const helpers = `
  const web = await import('/dist/web/index.js')
  const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
  const textOf = async (bytes) => (await new Promise((resolve) => {
    const reader = new FileReader()
    reader.onload = () => resolve(reader.result)
    reader.readAsDataURL(new Blob([bytes]))
  })).split(',')[1] ?? ''
  const packed = async (value) => {
    if (ArrayBuffer.isView(value)) return { array: value.constructor.name, text: await textOf(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)) }
    if (Array.isArray(value)) return Promise.all(value.map(packed))
    if (value === null || typeof value !== 'object') return value
    return Object.fromEntries(await Promise.all(Object.entries(value).map(async ([k, v]) => [k, await packed(v)])))
  }
`
const arrayTypes = { Uint8Array, Float32Array, Float64Array, Int32Array, BigInt64Array } as const

function unpacked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unpacked)
  if (value === null || typeof value !== 'object') return value
  if ('array' in value && 'text' in value) {
    const bytes = new Uint8Array(Buffer.from(value.text as string, 'base64'))
    return new arrayTypes[value.array as keyof typeof arrayTypes](bytes.buffer)
  }
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, unpacked(each)]))
}

const asText = (value: unknown): unknown =>
  value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value

/** Opens a page for one test; isolated from others, so that WebAssembly has threads, unless other headers are given. */
export async function openTrainingPage(options: PageOptions = {}): Promise<TrainingPage> {
  const page = await openPageOnce(options)
  onTestFinished(page.close)
  return page
}

/** The same, to be closed by the caller. */
export async function openPageOnce(options: PageOptions = {}): Promise<TrainingPage & { close(): Promise<void> }> {
  const folders = [join(root, 'test', 'web'), root, join(root, 'node_modules')]
  const { page, messages, close } = await openPageWith({ folders, path: 'blank.html', args: gpu, ...options })
  return {
    page,
    messages,
    close,
    reload: async () => void (await page.reload()),
    async run<T>(body: string, parameters: Readonly<Record<string, unknown>> = {}) {
      const given = Object.entries(parameters)
        .map(([name, value]) => {
          const json = JSON.stringify(asText(value))
          return `const ${name} = ${value instanceof Uint8Array ? `bytesOf(${json})` : json}`
        })
        .join('\n')
      return unpacked(
        await page.evaluate(`(async () => {${helpers}\n${given}\nreturn packed(await (async () => {${body}})())})()`),
      ) as T
    },
  }
}

/** How a small residual network of eight layers is trained in these tests: augmented, by a rate that changes. */
export const recipe: Recipe = {
  ...recipes.paper,
  epochs: 4,
  batchSize: 16,
  learningRate: [
    [0, 0.01],
    [1, 0.02],
  ],
}

/** RDM-8 with few channels, on images of CIFAR's size or smaller ones. */
export function smallNetwork(
  options: Partial<ExportOptions> & { imageSize?: number; survival?: number; labels?: number } = {},
) {
  const { imageSize = 32, survival, labels = 10, ...rest } = options
  const graph = residualNetwork({
    ...base,
    name: 'rdm8',
    block: 'basic',
    blocks: [1, 1, 1],
    functions: ['11', '01'],
    widths: [4, 4, 8],
    imageSize,
    classes: labels,
    ...(survival === undefined ? {} : { stochasticDepth: survival }),
  })
  return exportModel(graph, { recipe, seed: 1, ...rest })
}

export const withAdam = { optimizer: adamw(), clipNorm: 1 }

export const lossesOf = (events: readonly FitEvent[]): readonly number[] =>
  events.flatMap((event) => (event.event === 'step' ? [event.loss] : []))
