// A machine made up for a test: what its programs print, what its files hold.
import type { Ended, System } from '../../../src/study/doctor/system.js'
import type { ChildAnswer } from '../../../src/study/doctor/trial.js'

export const said = (out: string, code = 0, err = ''): Ended => ({ kind: 'ended', code, out, err })
export const answered = (answer: ChildAnswer, err = ''): Ended => said(`${JSON.stringify(answer)}\n`, 0, err)

const known = ['cpu', 'cuda']
export const computed = (place: string, error: number | null = 0) =>
  answered({ providers: known, placed: [place], error })
export const refused = (failure: string, err = '') => answered({ providers: known, failure }, err)

export const runtimeFolder = '/app/node_modules/onnxruntime-node'
export const nativeFolder = `${runtimeFolder}/bin/napi-v6/linux/x64`
const cudaLibraries = '/usr/local/cuda/lib64'

/** What ldd prints of a provider for this version of CUDA; `missing` are not found. */
export function lddOutput(cuda: number, missing: readonly string[] = []): string {
  const names = ['libcublasLt', 'libcublas', 'libcudart'].map((name) => `${name}.so.${cuda}`)
  const lines = [...names, 'libcurand.so.10', 'libcuda.so.1'].map((name) =>
    missing.includes(name) ? `\t${name} => not found` : `\t${name} => ${cudaLibraries}/${name} (0x00007f0000000000)`,
  )
  return [
    '\tlinux-vdso.so.1 (0x00007ffe325a0000)',
    ...lines,
    '\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0000000000)',
    '\t/lib64/ld-linux-x86-64.so.2 (0x00007f0000000000)',
    '',
  ].join('\n')
}

const smiHeader = (cuda: string) =>
  `Tue Sep 16 20:59:23 2025
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 580.82.09              Driver Version: 580.82.09      CUDA Version: ${cuda}     |
+-----------------------------------------+------------------------+----------------------+
`

export interface Fake {
  /** Output of each program; a missing one cannot be started. `cpu` and `cuda` are the child processes. */
  readonly programs?: Readonly<Record<string, Ended>>
  /** Names in each folder. */
  readonly folders?: Readonly<Record<string, readonly string[]>>
  readonly files?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  readonly platform?: string
  readonly arch?: string
  readonly nodeVersion?: string
  /** Null: onnxruntime-web is not installed. */
  readonly webVersion?: string | null
}

export type FakeSystem = System & {
  /** Jobs of the child processes. */ readonly jobs: readonly { provider: string; device: number }[]
}

/** A machine without a GPU, and what differs from it. */
export function fakeSystem(fake: Fake = {}): FakeSystem {
  const programs: Record<string, Ended> = {
    cpu: computed('CPUExecutionProvider'),
    ldconfig: said(
      "2 libs found in cache `/etc/ld.so.cache'\n\tlibc.so.6 (libc6,x86-64) => /lib/x86_64-linux-gnu/libc.so.6\n",
    ),
    ...fake.programs,
  }
  const files: Record<string, string> = {
    [`${runtimeFolder}/package.json`]: '{ "name": "onnxruntime-node", "version": "1.29.0" }',
    ...fake.files,
  }
  const folders: Record<string, readonly string[]> = {
    [nativeFolder]: ['libonnxruntime.so.1', 'onnxruntime_binding.node'],
    ...fake.folders,
  }
  const jobs: { provider: string; device: number }[] = []
  return {
    platform: fake.platform ?? 'linux',
    arch: fake.arch ?? 'x64',
    nodeVersion: fake.nodeVersion ?? '22.1.0',
    processors: { count: 8, model: 'a processor' },
    memory: 16 * 2 ** 30,
    env: fake.env ?? {},
    runtimeFolder,
    webVersion: fake.webVersion === null ? undefined : (fake.webVersion ?? '1.19.2'),
    jobs,
    async run(program, argv) {
      let name = program
      if (program === process.execPath) {
        const job = JSON.parse(argv[1]!)
        jobs.push(job)
        name = job.provider
      } else if (program === 'nvidia-smi' && argv.length > 0) name = 'nvidia-smi query'
      return programs[name] ?? { kind: 'missing', reason: 'it is not on the PATH' }
    },
    read: async (path) => files[path],
    list: async (folder) => folders[folder] ?? [],
  }
}

/** A machine on which everything is as it should be, of CUDA 13, and what differs from it. */
export function gpuSystem(fake: Fake = {}): FakeSystem {
  return fakeSystem({
    ...fake,
    programs: {
      'nvidia-smi query': said('0, NVIDIA H200, 143771\n1, NVIDIA H200, 143771\n'),
      'nvidia-smi': said(smiHeader('13.0')),
      ldd: said(lddOutput(13)),
      cuda: computed('CUDAExecutionProvider', 1e-7),
      ...fake.programs,
    },
    folders: {
      '/opt/cudnn': ['libcudnn.so.9'],
      [nativeFolder]: [
        'libonnxruntime_providers_cuda.so',
        'libonnxruntime_providers_shared.so',
        'onnxruntime_binding.node',
      ],
      ...fake.folders,
    },
    env: { LD_LIBRARY_PATH: '/opt/cudnn', ...fake.env },
  })
}

export const driverFor = (cuda: string) => ({ 'nvidia-smi': said(smiHeader(cuda)) })
