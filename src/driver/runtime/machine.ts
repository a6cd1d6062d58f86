// The machine that something is computed on, and the version of the runtime that computes it.
import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { cpus } from 'node:os'
import { join } from 'node:path'

/** The processor, as it calls itself. */
export const processorName = (): string => cpus()[0]?.model.trim() ?? process.arch

/** Of onnxruntime-node. */
export function runtimeVersion(): string {
  const file = createRequire(import.meta.url).resolve('onnxruntime-node/package.json')
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

/**
 * What the NVIDIA GPUs of this machine are called, each model once; none where the driver does not tell.
 * @param folder where the driver tells
 */
export async function gpuModels(folder = '/proc/driver/nvidia/gpus'): Promise<readonly string[]> {
  const devices = await readdir(folder).catch(() => [])
  const texts = devices.map((device) => readFile(join(folder, device, 'information'), 'utf8').catch(() => ''))
  const models = (await Promise.all(texts)).flatMap((text) => /^Model:\s*(.*\S)/m.exec(text)?.[1] ?? [])
  return [...new Set(models)].sort()
}
