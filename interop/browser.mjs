// The example page in Chromium, driven as a person would: its buttons are pressed, and what it saves is read.

import { readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { decodeSafetensors } from '../dist/src/driver/run/safetensors.js'
import { openPageWith } from '../tools/browser.mjs'
import { folderOf, root } from './install.mjs'

// An adapter in software, where the machine has no GPU.
const gpu = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']

/** Opens the page with models and images named in its address. */
export const openExample = (models, images, options = {}) =>
  openPageWith({
    folders: [join(root, 'examples'), folderOf('onnxruntime-web'), dirname(models), dirname(images)],
    path: `train-onnxruntime.html?models=${basename(models)}&data=${basename(images)}`,
    args: gpu,
    ...options,
  })

/** Trains in the page; `provider` is wasm or webgpu. @returns its lines */
export async function trainInPage(provider, models, images, steps, trained) {
  const { page, close } = await openExample(models, images)
  try {
    await page.waitForFunction(() => document.getElementById('machine').textContent.includes('thread'))
    const offered = await page.locator(`option[value=${provider}]:enabled`).count()
    if (offered === 0) throw new Error(await page.textContent('#machine'))
    await page.selectOption('select', provider)
    await page.fill('input[name=steps]', steps)
    await page.click('button[value=start]')
    await page.waitForSelector('button[value=start]:enabled', { timeout: 600_000 })
    if (await page.locator('#status.failed').count()) throw new Error(await page.textContent('#status'))
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('button[value=save]')])
    const path = await download.path()
    const { tensors } = decodeSafetensors(await readFile(path), path)
    for (const [name, { data }] of Object.entries(tensors)) await writeFile(join(trained, name), data)
    return (await page.locator('#log li').allTextContents()).join('\n')
  } finally {
    await close()
  }
}
