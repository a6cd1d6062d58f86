// Everything that the doctor finds out, and what follows from it.
import { join } from 'node:path'
import { ownPackage } from '../../driver/package.js'
import { type Diagnosis, diagnose } from './diagnose.js'
import { type GpuFacts, gpuFacts } from './gpu.js'
import { cudaProvider, cudaVersions, type LibraryFacts, LibrarySearch, sharedProvider } from './libraries.js'
import type { System } from './system.js'
import { type Trial, tryProvider } from './trial.js'
import { type VulkanFacts, vulkanFacts } from './vulkan.js'

export interface Facts {
  readonly node: { readonly version: string; readonly wanted: string; readonly fits: boolean }
  readonly machine: {
    readonly platform: string
    readonly arch: string
    readonly processors: number
    readonly processor: string
    /** Bytes. */
    readonly memory: number
  }
  readonly runtime: {
    /** Undefined when onnxruntime-node is not installed. */
    readonly version?: string
    /** Where its native libraries lie. */
    readonly folder?: string
    /** Execution providers that its native library knows. */
    readonly providers: readonly string[]
    /** The libraries of the CUDA provider, and whether each is there. */
    readonly files: readonly { readonly name: string; readonly there: boolean }[]
    /** Version of onnxruntime-web; absent when it is not installed. */
    readonly web?: string
  }
  readonly gpu: GpuFacts
  /** Undefined where ONNX Runtime has no CUDA provider for Node at all. */
  readonly cuda?: {
    /** Of the provider that is installed; of providers for CUDA 12 and CUDA 13 where none is. */
    readonly libraries: readonly LibraryFacts[]
    /** Where libraries were looked for. */
    readonly places: readonly string[]
  }
  /** The GPU that the convolution was tried on. */
  readonly device: number
  /** What WebGPU computes by; undefined where that is not Vulkan. */
  readonly vulkan?: VulkanFacts
  readonly trials: { readonly cpu: Trial; readonly cuda?: Trial; readonly webgpu?: Trial }
}

export type Examination = Facts & { readonly diagnosis: Diagnosis }

/** Whether a version of Node is what "engines" asks for; it names the lowest, as >=20.19. */
export function fits(version: string, wanted: string): boolean {
  const [, ...least] = /^>=(\d+)(?:\.(\d+))?(?:\.(\d+))?$/.exec(wanted) ?? []
  const numbers = version.split('.').map(Number)
  for (const [place, text] of least.entries()) {
    const difference = (numbers[place] ?? 0) - Number(text ?? 0)
    if (difference !== 0) return difference > 0
  }
  return true
}

async function runtimeVersion(system: System, folder: string): Promise<string | undefined> {
  const text = await system.read(join(folder, 'package.json'))
  return text && /"version": *"([^"]+)"/.exec(text)?.[1]
}

async function runtimeFacts(system: System): Promise<Omit<Facts['runtime'], 'providers'>> {
  if (system.runtimeFolder === undefined) return { files: [] }
  const version = await runtimeVersion(system, system.runtimeFolder)
  const folder = join(system.runtimeFolder, 'bin', 'napi-v6', system.platform, system.arch)
  const names = await system.list(folder)
  const files = [sharedProvider, cudaProvider].map((name) => ({ name, there: names.includes(name) }))
  return { ...(version ? { version } : {}), folder, files: hasCuda(system) ? files : [] }
}

/** ONNX Runtime has a CUDA provider for Node on this platform only. */
const hasCuda = ({ platform, arch }: System) => platform === 'linux' && arch === 'x64'

async function cudaFacts(system: System, runtime: Omit<Facts['runtime'], 'providers'>): Promise<Facts['cuda']> {
  if (!hasCuda(system)) return undefined
  const search = await LibrarySearch.on(system)
  const installed = runtime.files.some(({ name, there }) => name === cudaProvider && there)
  const libraries: LibraryFacts[] = []
  if (installed) libraries.push(await search.ofProvider(join(runtime.folder!, cudaProvider)))
  else for (const version of cudaVersions) libraries.push(await search.ofVersion(version))
  return { libraries, places: search.places }
}

/** Looks at the machine. Takes seconds: each provider computes something. */
export async function examine(system: System, device: number): Promise<Examination> {
  const wanted = ownPackage()?.engines.node ?? ''
  const { platform, arch, processors, memory } = system
  const runtime = await runtimeFacts(system)
  const cpu = await tryProvider(system, 'cpu', device)
  // Without its files there is nothing to try.
  const complete = runtime.files.length > 0 && runtime.files.every(({ there }) => there)
  const cudaTrial = complete ? await tryProvider(system, 'cuda', device) : undefined
  const webgpuTrial = cpu.providers.includes('webgpu') ? await tryProvider(system, 'webgpu', device) : undefined
  const vulkan = webgpuTrial && (await vulkanFacts(system))
  const cuda = await cudaFacts(system, runtime)
  const facts: Facts = {
    node: { version: system.nodeVersion, wanted, fits: fits(system.nodeVersion, wanted) },
    machine: { platform, arch, processors: processors.count, processor: processors.model, memory },
    runtime: { ...runtime, providers: cpu.providers, ...(system.webVersion ? { web: system.webVersion } : {}) },
    gpu: await gpuFacts(system),
    ...(cuda ? { cuda } : {}),
    device,
    ...(vulkan ? { vulkan } : {}),
    trials: { cpu, ...(cudaTrial ? { cuda: cudaTrial } : {}), ...(webgpuTrial ? { webgpu: webgpuTrial } : {}) },
  }
  return { ...facts, diagnosis: diagnose(facts) }
}
