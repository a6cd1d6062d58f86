// The examination for people.
import { installWeb, WEB_VERSION } from '../../driver/runtime/webBuild.js'
import type { Examination, Facts } from './examine.js'
import type { LibraryFacts, Need } from './libraries.js'
import type { VulkanFacts } from './vulkan.js'

const gibibytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`

type Mark = 'ok' | 'missing' | 'FAILED' | ''

const line = (mark: Mark, text: string) => `  ${mark.padEnd(7)}  ${text}`.trimEnd()

function machine({ node, machine }: Facts): string[] {
  return [
    line(node.fits ? 'ok' : 'FAILED', `Node ${node.version} (needed: ${node.wanted})`),
    line(
      'ok',
      `${machine.platform} ${machine.arch}, ${machine.processors} processors (${machine.processor}), ` +
        `${gibibytes(machine.memory)} of memory`,
    ),
  ]
}

function runtime({ runtime, cuda }: Facts): string[] {
  if (runtime.version === undefined) return [line('missing', 'onnxruntime-node'), web(runtime)]
  const knows = runtime.providers.length > 0 ? `, knows the providers ${runtime.providers.join(', ')}` : ''
  return [
    line('ok', `onnxruntime-node ${runtime.version}${knows}`),
    line('', `its libraries are in ${runtime.folder}`),
    ...runtime.files.map(({ name, there }) => line(there ? 'ok' : 'missing', `${name} (CUDA provider)`)),
    ...(cuda ? [] : [line('', 'it has a CUDA provider on Linux x64 only')]),
    web(runtime),
  ]
}

function web({ web }: Facts['runtime']): string {
  const wanted = `onnxruntime-web ${WEB_VERSION}, for --runtime web-training`
  if (web === WEB_VERSION) return line('ok', wanted)
  const found = web === undefined ? '' : ` (${web} is installed, which has no training build)`
  return line('missing', `${wanted}${found}: ${installWeb}`)
}

function gpu({ gpu }: Facts): string[] {
  const { gpus, driver, cuda, failure, onBus, served, visible } = gpu
  const lines = gpus.map(({ index, name, memory }) =>
    line('ok', `${index}: ${name}${memory > 0 ? `, ${gibibytes(memory)}` : ''}`),
  )
  if (driver) lines.push(line('ok', `driver ${driver}, which runs programs of up to CUDA ${cuda ?? 'unknown'}`))
  if (failure?.kind === 'missing') {
    lines.push(line('missing', `nvidia-smi, which comes with NVIDIA's driver (${failure.message})`))
  } else if (failure) {
    lines.push(line('FAILED', `nvidia-smi: ${failure.message}`))
  } else if (gpus.length === 0) {
    lines.push(line('missing', 'nvidia-smi runs and lists no GPU'))
  }
  if (gpus.length === 0) {
    lines.push(line('', `NVIDIA GPUs on the PCI bus: ${onBus}; served by NVIDIA's driver: ${served}`))
  }
  if (visible !== undefined)
    lines.push(line('', `CUDA sees those of CUDA_VISIBLE_DEVICES=${visible} only, counted from 0`))
  return lines
}

const needs: Record<Need, string> = {
  load: '',
  conv: ', which convolutions need',
  some: ', with which cuDNN compiles some kernels (not always needed)',
}

function libraries(facts: LibraryFacts): string[] {
  return [
    ...facts.libraries.map(({ name, need, found, elsewhere }) => {
      if (found) return line('ok', `${name}: ${found}`)
      const hint = elsewhere.length > 0 ? `; found in ${elsewhere.join(' and ')}, where the loader does not look` : ''
      return line('missing', `${name}${needs[need]}${hint}`)
    }),
    ...facts.complaints.map((complaint) => line('FAILED', complaint)),
  ]
}

/** Where no provider is installed, a line for each that could be. */
function possible({ cuda, libraries }: LibraryFacts): string {
  const missing = libraries.filter(({ found }) => found === undefined)
  if (missing.length === 0) return line('ok', `CUDA ${cuda}: all libraries found`)
  const names = missing.map(({ name, elsewhere }) => (elsewhere[0] ? `${name} (is in ${elsewhere[0]})` : name))
  return line('missing', `CUDA ${cuda}: ${names.join(', ')}`)
}

function vulkan({ loader, drivers, adapters, nodes }: VulkanFacts): string[] {
  return [
    loader ? line('ok', `the Vulkan loader: ${loader}`) : line('missing', 'the Vulkan loader, libvulkan.so.1'),
    drivers.length > 0 ? line('ok', `drivers: ${drivers.join(', ')}`) : line('missing', 'a Vulkan driver'),
    ...(adapters?.map(({ name, type }) => line('ok', `adapter: ${name} (${type})`)) ?? [
      line(
        '',
        'which adapter is taken, its limits and features onnxruntime-node does not tell; vulkaninfo, of vulkan-tools, does',
      ),
    ]),
    line('', `GPUs that the kernel serves: ${nodes.join(', ') || 'none'}`),
  ]
}

function trials({ trials, device }: Facts): string[] {
  const { cpu, cuda, webgpu } = trials
  return [
    line(cpu.works ? 'ok' : 'FAILED', `cpu: ${cpu.said}`),
    cuda
      ? line(cuda.works ? 'ok' : 'FAILED', `cuda, GPU ${device}: ${cuda.said}`)
      : line('', 'cuda: not tried, there is no provider'),
    ...(webgpu ? [line(webgpu.works ? 'ok' : '', `webgpu: ${webgpu.said}`)] : []),
  ]
}

export function report(facts: Examination): string {
  const { cuda, diagnosis } = facts
  const installed = cuda?.libraries.length === 1 ? cuda.libraries[0] : undefined
  const sections: [string, string[]][] = [
    ['Machine', machine(facts)],
    ['ONNX Runtime', runtime(facts)],
    ['NVIDIA GPUs', gpu(facts)],
  ]
  if (cuda) {
    const title = installed
      ? `Libraries of CUDA${installed.cuda ? ` ${installed.cuda}` : ''} that the provider needs`
      : 'Libraries of CUDA that a provider would need'
    const found = installed ? libraries(installed) : cuda.libraries.map(possible)
    sections.push([title, [...found, line('', `looked in ${cuda.places.join(', ')}`)]])
  }
  if (facts.vulkan) sections.push(['Vulkan, by which WebGPU computes', vulkan(facts.vulkan)])
  sections.push(['A convolution, computed and compared with the reference', trials(facts)])
  if (diagnosis.problems.length > 0) sections.push(['Problems', diagnosis.problems.map((text) => `  ${text}`)])
  sections.push(['What to do', diagnosis.advice.map((text) => `  ${text}`)])
  return `${sections.map(([title, lines]) => `${title}\n${lines.join('\n')}`).join('\n\n')}\n`
}
