// The NVIDIA GPUs of the machine: by nvidia-smi, and, where it tells nothing, by the kernel.
import type { System } from './system.js'

export interface Gpu {
  readonly index: number
  readonly name: string
  /** Bytes. */
  readonly memory: number
}

export interface GpuFacts {
  readonly gpus: readonly Gpu[]
  /** Version of the driver. */
  readonly driver?: string
  /** The highest version of CUDA that the driver runs. */
  readonly cuda?: string
  /** What is wrong with nvidia-smi. */
  readonly failure?: { readonly kind: 'missing' | 'failed'; readonly message: string }
  /** NVIDIA's graphics processors on the PCI bus. A container sees those of its host, whether it may use them or not. */
  readonly onBus: number
  /** GPUs that a loaded driver serves, by the kernel. */
  readonly served: number
  /** The environment variable CUDA_VISIBLE_DEVICES, which hides GPUs from CUDA and counts the others anew. */
  readonly visible?: string
}

/** nvidia-smi wakes each GPU up, which takes seconds where no process holds one. */
const SMI_LIMIT = 60_000

const NVIDIA = '0x10de'
/** PCI classes of display controllers begin with it. */
const DISPLAY = '0x03'

async function countOnBus(system: System): Promise<number> {
  const bus = '/sys/bus/pci/devices'
  let count = 0
  for (const device of await system.list(bus)) {
    const vendor = await system.read(`${bus}/${device}/vendor`)
    if (vendor?.trim() !== NVIDIA) continue
    if ((await system.read(`${bus}/${device}/class`))?.startsWith(DISPLAY)) count++
  }
  return count
}

async function smi(system: System, ...argv: string[]): Promise<{ out: string } | NonNullable<GpuFacts['failure']>> {
  const ended = await system.run('nvidia-smi', argv, SMI_LIMIT)
  if (ended.kind === 'missing') return { kind: 'missing', message: ended.reason }
  if (ended.kind === 'ended' && ended.code === 0) return { out: ended.out }
  const said = `${ended.out}\n${ended.err}`.replace(/\s+/g, ' ').trim()
  if (ended.kind === 'hung') return { kind: 'failed', message: `it did not answer within ${SMI_LIMIT / 1000} s` }
  const end = ended.kind === 'crashed' ? `it crashed by ${ended.signal}` : `it ended with code ${ended.code}`
  return { kind: 'failed', message: said === '' ? end : said }
}

/** Lines of "0, NVIDIA H200, 143771": index, name, memory in MiB. */
function parseGpus(text: string): Gpu[] {
  return text.split('\n').flatMap((line) => {
    const found = /^\s*(\d+), (.+), (\d+|\[.*\])\s*$/.exec(line)
    if (!found) return []
    // Where memory is shared with the processor, nvidia-smi has no number for it.
    const mebibytes = Number(found[3])
    return [{ index: Number(found[1]), name: found[2]!, memory: Number.isNaN(mebibytes) ? 0 : mebibytes * 2 ** 20 }]
  })
}

export async function gpuFacts(system: System): Promise<GpuFacts> {
  const visible = system.env.CUDA_VISIBLE_DEVICES
  const kernel = {
    onBus: await countOnBus(system),
    served: (await system.list('/proc/driver/nvidia/gpus')).length,
    ...(visible === undefined ? {} : { visible }),
  }
  const listed = await smi(system, '--query-gpu=index,name,memory.total', '--format=csv,noheader,nounits')
  if (!('out' in listed)) {
    // The driver is there and well: there is just nothing for it to drive.
    if (/no devices were found/i.test(listed.message)) return { gpus: [], ...kernel }
    return { gpus: [], failure: listed, ...kernel }
  }
  const summary = await smi(system)
  const header = 'out' in summary ? summary.out : ''
  // Since driver 610 the header says KMD and CUDA UMD Version, before that Driver and CUDA Version.
  const driver = /(?:Driver|KMD) Version: *([\d.]+)/.exec(header)?.[1]
  const cuda = /CUDA (?:UMD )?Version: *([\d.]+)/.exec(header)?.[1]
  return { gpus: parseGpus(listed.out), ...(driver ? { driver } : {}), ...(cuda ? { cuda } : {}), ...kernel }
}

/** Whether anything says that there is a GPU. */
export const hasGpu = ({ gpus, onBus, served, failure }: GpuFacts): boolean =>
  gpus.length > 0 || onBus > 0 || served > 0 || failure?.kind === 'failed'
