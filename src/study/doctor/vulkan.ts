// What WebGPU computes by on Linux: the Vulkan loader, the drivers that it knows, and the adapters that these serve. ONNX Runtime for
// Node tells neither which adapter it took, nor its limits and features: vulkaninfo does, where it is installed.
import { join } from 'node:path'
import { LibrarySearch } from './libraries.js'
import type { System } from './system.js'

export interface VulkanAdapter {
  readonly name: string
  /** As Vulkan calls it: DISCRETE_GPU, INTEGRATED_GPU, VIRTUAL_GPU, CPU. */
  readonly type: string
}

export interface VulkanFacts {
  /** The file of the loader; absent when the system's loader finds none. */
  readonly loader?: string
  /** Manifests of drivers. */
  readonly drivers: readonly string[]
  /** Undefined where there is no vulkaninfo to ask. */
  readonly adapters?: readonly VulkanAdapter[]
  /** GPUs that the kernel serves, by their nodes. */
  readonly nodes: readonly string[]
}

const LIMIT = 30_000
const folders = ['/etc/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/usr/share/vulkan/icd.d']

async function driversOf(system: System): Promise<readonly string[]> {
  const named = system.env.VK_DRIVER_FILES ?? system.env.VK_ICD_FILENAMES
  if (named) return named.split(':').filter((file) => file !== '')
  const lists = await Promise.all(
    folders.map(async (folder) => (await system.list(folder)).map((name) => join(folder, name))),
  )
  return lists.flat().filter((file) => file.endsWith('.json'))
}

async function adaptersOf(system: System): Promise<readonly VulkanAdapter[] | undefined> {
  const ended = await system.run('vulkaninfo', ['--summary'], LIMIT)
  if (ended.kind === 'missing') return undefined
  const values = (key: string) =>
    [...ended.out.matchAll(new RegExp(`^\\s*${key}\\s*= (.+)$`, 'gm'))].map(([, text]) => text!.trim())
  const types = values('deviceType').map((type) => type.replace('PHYSICAL_DEVICE_TYPE_', ''))
  return values('deviceName').map((name, i) => ({ name, type: types[i] ?? 'OTHER' }))
}

/** Undefined where WebGPU computes by something else: Metal on a Mac, Direct3D 12 on Windows. */
export async function vulkanFacts(system: System): Promise<VulkanFacts | undefined> {
  if (system.platform !== 'linux') return undefined
  const loader = await (await LibrarySearch.on(system)).fileOf('libvulkan.so.1')
  const adapters = await adaptersOf(system)
  return {
    ...(loader === undefined ? {} : { loader }),
    drivers: await driversOf(system),
    ...(adapters ? { adapters } : {}),
    nodes: (await system.list('/dev/dri')).filter((name) => name.startsWith('render')),
  }
}
