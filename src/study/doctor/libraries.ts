// The shared libraries of ONNX Runtime's CUDA provider: which it needs, which the loader finds, where others lie.
import { join } from 'node:path'
import { z } from 'zod'
import type { System } from './system.js'

export const sharedProvider = 'libonnxruntime_providers_shared.so'
export const cudaProvider = 'libonnxruntime_providers_cuda.so'

/** What a library is for: `load`, the provider does not load without it; `conv`, convolutions; `some`, some kernels. */
export type Need = 'load' | 'conv' | 'some'

export interface Library {
  readonly name: string
  readonly need: Need
  /** The file that the loader takes; undefined when it finds none. */
  readonly found?: string
  /** Folders that hold it but that the loader does not search. */
  readonly elsewhere: readonly string[]
}

export interface LibraryFacts {
  /** The version of CUDA (12, 13) that the libraries are of; undefined when the provider does not say. */
  readonly cuda?: number
  readonly libraries: readonly Library[]
  /** What else the loader says against the provider: a version of the C library that is too old, for one. */
  readonly complaints: readonly string[]
}

/** The driver's own library, which no package of CUDA brings. */
export const driverLibrary = 'libcuda.so.1'
export const cudnn = 'libcudnn.so.9'

/** The versions of CUDA that there are providers for. */
export const cudaVersions = [12, 13] as const

/** What a provider for this version of CUDA links to. */
const linked = (cuda: number) => [
  `libcublasLt.so.${cuda}`,
  `libcublas.so.${cuda}`,
  'libcurand.so.10',
  `libcudart.so.${cuda}`,
  driverLibrary,
]

const LIMIT = 20_000

interface Loader {
  /** Folders of LD_LIBRARY_PATH. */
  readonly path: readonly string[]
  /** The loader's cache: file by library. */
  readonly cache: ReadonlyMap<string, string>
}

async function readLoader(system: System): Promise<Loader> {
  const path = (system.env.LD_LIBRARY_PATH ?? '').split(':').filter((folder) => folder !== '')
  const cache = new Map<string, string>()
  // A user's PATH often leaves /sbin out.
  for (const program of ['ldconfig', '/sbin/ldconfig']) {
    const ended = await system.run(program, ['-p'], LIMIT)
    if (ended.kind !== 'ended' || ended.code !== 0) continue
    for (const [, name, kind, file] of ended.out.matchAll(/^\s*(\S+) \(([^)]*)\) => (.+)$/gm)) {
      // Libraries of 32 bits stand in the same cache.
      if (kind!.includes(system.arch === 'arm64' ? 'AArch64' : 'x86-64') && !cache.has(name!)) cache.set(name!, file!)
    }
    break
  }
  return { path, cache }
}

/** Folders that CUDA's installers and Python's packages use. */
async function usualFolders(system: System): Promise<string[]> {
  const { env } = system
  const folders = [env.CUDA_HOME, env.CUDA_PATH].flatMap((root) => (root ? [join(root, 'lib64')] : []))
  for (const name of await system.list('/usr/local')) {
    if (name.startsWith('cuda')) folders.push(`/usr/local/${name}/lib64`)
  }
  folders.push('/opt/cuda/lib64')
  if (env.CONDA_PREFIX) folders.push(join(env.CONDA_PREFIX, 'lib'))
  for (const site of await pythonPath(system)) {
    for (const name of await system.list(join(site, 'nvidia'))) folders.push(join(site, 'nvidia', name, 'lib'))
  }
  folders.push('/usr/lib/wsl/lib')
  return [...new Set(folders)]
}

/** Where Python looks for packages. */
async function pythonPath(system: System): Promise<string[]> {
  const ended = await system.run('python3', ['-c', 'import json, sys; print(json.dumps(sys.path))'], LIMIT)
  if (ended.kind !== 'ended' || ended.code !== 0) return []
  try {
    return z
      .array(z.string())
      .parse(JSON.parse(ended.out))
      .filter((folder) => folder !== '')
  } catch {
    return []
  }
}

const isNvidia = (name: string) => /^lib(cu|nv)/.test(name)

/** What the loader says of the provider; undefined where there is no `ldd` to ask. */
async function linkedBy(
  system: System,
  provider: string,
): Promise<{ found: Map<string, string | undefined>; complaints: string[] } | undefined> {
  const ended = await system.run('ldd', [provider], LIMIT)
  if (ended.kind !== 'ended' || ended.code !== 0) return undefined
  const found = new Map<string, string | undefined>()
  for (const [, name, where] of ended.out.matchAll(/^\s*(\S+) => (not found|\S+)/gm)) {
    if (where === 'not found') found.set(name!, undefined)
    else if (isNvidia(name!)) found.set(name!, where)
  }
  const complaints = `${ended.out}\n${ended.err}`
    .split('\n')
    .filter((line) => /version `.*' not found/.test(line))
    .map((line) => line.trim())
  return { found, complaints: [...new Set(complaints)] }
}

const versionOf = (names: readonly string[]): number | undefined =>
  names.flatMap((name) => /^lib(?:cudart|cublasLt|cublas)\.so\.(\d+)/.exec(name)?.slice(1).map(Number) ?? [])[0]

/** Where libraries are looked for on this machine. */
export class LibrarySearch {
  private constructor(
    private readonly system: System,
    private readonly loader: Loader,
    /** Folders that the loader does not search, with the names in them. */
    private readonly others: ReadonlyMap<string, readonly string[]>,
  ) {}

  static async on(system: System): Promise<LibrarySearch> {
    const loader = await readLoader(system)
    const others = new Map<string, readonly string[]>()
    for (const folder of await usualFolders(system)) {
      const names = loader.path.includes(folder) ? [] : await system.list(folder)
      if (names.length > 0) others.set(folder, names)
    }
    return new LibrarySearch(system, loader, others)
  }

  /** Every place that was looked at, for people. */
  get places(): string[] {
    const { path, cache } = this.loader
    return [
      path.length > 0 ? `LD_LIBRARY_PATH (${path.join(':')})` : 'LD_LIBRARY_PATH (not set)',
      `the loader's cache (${cache.size} libraries)`,
      ...(this.others.size > 0 ? this.others.keys() : ['no folder of CUDA under /usr/local, /opt or in Python']),
    ]
  }

  /** The file that the loader would take. */
  async fileOf(name: string): Promise<string | undefined> {
    for (const folder of this.loader.path) {
      if ((await this.system.list(folder)).includes(name)) return join(folder, name)
    }
    return this.loader.cache.get(name)
  }

  private library(name: string, need: Need, found: string | undefined): Library {
    if (found) return { name, need, found, elsewhere: [] }
    return {
      name,
      need,
      elsewhere: [...this.others.keys()].filter((folder) => this.others.get(folder)!.includes(name)),
    }
  }

  /**
   * What the provider in a file needs. It links to some libraries; cuDNN it opens by name when the first session is
   * created (since ONNX Runtime 1.28), and cuDNN opens the compiler of kernels.
   */
  async ofProvider(provider: string): Promise<LibraryFacts> {
    const known = await linkedBy(this.system, provider)
    if (!known) return { libraries: [], complaints: ['ldd, which tells what the provider links to, cannot be run'] }
    const names = [...known.found.keys()]
    const cuda = versionOf(names)
    const libraries = [...known.found].map(([name, found]) => this.library(name, 'load', found))
    return {
      ...(cuda === undefined ? {} : { cuda }),
      libraries: [...libraries, ...(await this.opened(cuda, names))],
      complaints: known.complaints,
    }
  }

  /** What a provider for this version of CUDA would need. */
  async ofVersion(cuda: number): Promise<LibraryFacts> {
    const names = linked(cuda)
    const libraries: Library[] = []
    for (const name of names) libraries.push(this.library(name, 'load', await this.fileOf(name)))
    return { cuda, libraries: [...libraries, ...(await this.opened(cuda, names))], complaints: [] }
  }

  /** Libraries that no file links to: they are opened by name while a model runs. */
  private async opened(cuda: number | undefined, names: readonly string[]): Promise<Library[]> {
    const libraries: Library[] = []
    const add = async (name: string, need: Need) => libraries.push(this.library(name, need, await this.fileOf(name)))
    if (!names.some((name) => name.startsWith('libcudnn'))) await add(cudnn, 'conv')
    if (cuda !== undefined && !names.some((name) => name.startsWith('libnvrtc')))
      await add(`libnvrtc.so.${cuda}`, 'some')
    return libraries
  }
}

/** Libraries without which convolutions do not run. */
export const missingOf = ({ libraries }: LibraryFacts): Library[] =>
  libraries.filter(({ need, found }) => need !== 'some' && found === undefined)
