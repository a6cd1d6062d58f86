// What follows from the facts: what does not work that should, and what to do.
import type { Facts } from './examine.js'
import { hasGpu } from './gpu.js'
import { driverLibrary, type Library, type LibraryFacts, missingOf } from './libraries.js'

export interface Diagnosis {
  /** What should work and does not. */
  readonly problems: readonly string[]
  /** What to install or do, a line each; where nothing is to be done, what training can use. */
  readonly advice: readonly string[]
}

/** How to get the libraries of the CUDA provider. */
export const providerAdvice = [
  "get ONNX Runtime's CUDA provider by its own installer: npm rebuild onnxruntime-node --ignore-scripts=false",
  'or, for CUDA 13, from the npm package com.github.asus4.onnxruntime.linux-x64-gpu, as docs/gpu.md of the project says',
] as const

/** Packages for Python that bring CUDA's libraries, by the version of CUDA. */
const pythonPackages: Readonly<Record<number, string>> = {
  12: 'nvidia-cuda-runtime-cu12 nvidia-cublas-cu12 nvidia-curand-cu12 nvidia-cuda-nvrtc-cu12 nvidia-cudnn-cu12',
  13: '"nvidia-cuda-runtime~=13.0" "nvidia-cublas~=13.0" nvidia-curand "nvidia-cuda-nvrtc~=13.0" nvidia-cudnn-cu13',
}

/** A command that puts the folders of these libraries where the loader searches. */
function exportPath(libraries: readonly Library[]): string | undefined {
  const folders = [...new Set(libraries.flatMap(({ elsewhere }) => elsewhere.slice(0, 1)))]
  if (folders.length === 0) return undefined
  return `export LD_LIBRARY_PATH=${folders.join(':')}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}`
}

function libraryAdvice(facts: LibraryFacts): string[] {
  const advice: string[] = []
  const missing = missingOf(facts)
  // The compiler of kernels too, where it lies at hand.
  const path = exportPath(facts.libraries)
  if (path) advice.push(path)
  const nowhere = missing.filter(({ elsewhere, name }) => elsewhere.length === 0 && name !== driverLibrary)
  const packages = pythonPackages[facts.cuda ?? 0]
  if (nowhere.length > 0) {
    const names = nowhere.map(({ name }) => name).join(', ')
    const how = packages
      ? `, for example by: pip install ${packages}; then ask rdm-doctor again, which says where they lie`
      : ''
    advice.push(`install CUDA${facts.cuda ? ` ${facts.cuda}` : ''} and cuDNN 9 for it (${names})${how}`)
  }
  if (missing.some(({ name }) => name === driverLibrary)) {
    advice.push(
      `${driverLibrary} comes with NVIDIA's driver; in a container, start it with the GPU (docker run --gpus all)`,
    )
  }
  return advice
}

const major = (version: string | undefined) => (version === undefined ? undefined : Number(version.split('.')[0]))

/** Why the GPU cannot be used, though there is one and a provider for it. */
function gpuProblems({ gpu, device, cuda, runtime, trials }: Facts): Diagnosis {
  const problems: string[] = []
  const advice: string[] = []
  if (gpu.failure?.kind === 'failed') {
    problems.push(`nvidia-smi fails: ${gpu.failure.message}`)
    advice.push(
      "NVIDIA's driver does not run: restart the machine, or install the driver anew, until nvidia-smi lists the GPU",
    )
  } else if (gpu.gpus.length === 0 && gpu.served === 0) {
    problems.push("there is an NVIDIA GPU on the PCI bus, but NVIDIA's driver does not serve it")
    advice.push(
      "install NVIDIA's driver until nvidia-smi lists the GPU; in a container, start it with the GPU (docker run --gpus all)",
    )
  } else if (gpu.gpus.length > 0 && gpu.visible === undefined && device >= gpu.gpus.length) {
    problems.push(`there is no GPU ${device}: nvidia-smi lists ${gpu.gpus.length}, counted from 0`)
    advice.push('give another --device')
  }
  const absent = runtime.files.filter(({ there }) => !there).map(({ name }) => name)
  if (absent.length > 0) {
    problems.push(`there is a GPU, but no CUDA provider: ${absent.join(' and ')} missing in ${runtime.folder}`)
    advice.push(...providerAdvice)
  } else {
    const [libraries] = cuda!.libraries
    const missing = missingOf(libraries!).map(({ name }) => name)
    const driver = major(gpu.cuda)
    if (missing.length > 0) problems.push(`the loader does not find ${missing.join(', ')}`)
    for (const complaint of libraries!.complaints) problems.push(complaint)
    advice.push(...libraryAdvice(libraries!))
    if (driver !== undefined && libraries!.cuda !== undefined && driver < libraries!.cuda) {
      problems.push(
        `the driver runs programs of up to CUDA ${gpu.cuda}, the provider is one of CUDA ${libraries!.cuda}`,
      )
      advice.push(`install a newer driver, or a provider of CUDA ${driver}`)
    }
    if (advice.length === 0) {
      const hidden = gpu.visible === undefined ? '' : `, and CUDA_VISIBLE_DEVICES=${gpu.visible} may hide the GPU`
      advice.push(`all that the provider needs was found: what it said is the reason${hidden}`)
    }
    if (trials.cuda) problems.push(`the CUDA provider does not compute a convolution: ${trials.cuda.said}`)
  }
  return { problems, advice }
}

/** How what the provider says begins, where there is no GPU for it. */
const noAdapter = 'Failed to get a WebGPU adapter'

/** A GPU of any maker, by WebGPU: that it can train, or what to install for it; nothing where there is none. */
function webgpuAdvice({ trials, vulkan }: Facts): string[] {
  const command = 'rdm-fit model.onnx --ep webgpu'
  if (trials.webgpu?.works) {
    const inSoftware = vulkan?.adapters?.length && vulkan.adapters.every(({ type }) => type === 'CPU')
    return inSoftware
      ? [
          `WebGPU computes in software here (${vulkan.adapters[0]!.name}), slower than the CPU provider: for tests alone`,
        ]
      : [`training can run on any GPU by WebGPU: ${command}`]
  }
  if (!trials.webgpu?.said.startsWith(noAdapter) || !vulkan || vulkan.nodes.length === 0) return []
  const missing = [
    ...(vulkan.loader ? [] : ['the Vulkan loader (Debian, Ubuntu: apt install libvulkan1)']),
    ...(vulkan.drivers.length > 0
      ? []
      : ["a Vulkan driver (AMD, Intel: apt install mesa-vulkan-drivers; NVIDIA's comes with its driver)"]),
  ]
  return missing.length > 0
    ? [`to train on the GPU by WebGPU, install ${missing.join(' and ')}; then ${command}`]
    : [
        `to train on the GPU by WebGPU, it needs an adapter: vulkaninfo --summary lists what Vulkan has; then ${command}`,
      ]
}

export function diagnose(facts: Facts): Diagnosis {
  const { node, runtime, gpu, cuda, device, trials } = facts
  const problems: string[] = []
  const advice: string[] = []
  if (!node.fits) {
    problems.push(`Node ${node.version} is older than what is needed, ${node.wanted}`)
    advice.push(`install Node ${node.wanted}`)
  }
  if (runtime.version === undefined) {
    problems.push('onnxruntime-node is not installed')
    advice.push('npm ci')
  } else if (!trials.cpu.works) {
    problems.push(`the CPU provider does not compute a convolution: ${trials.cpu.said}`)
    advice.push('install onnxruntime-node anew: npm ci')
  }
  const { webgpu } = trials
  // No adapter is no fault: many machines have none.
  if (webgpu && !webgpu.works && !webgpu.said.startsWith(noAdapter)) {
    problems.push(`the WebGPU provider does not compute a convolution: ${webgpu.said}`)
    advice.push('train without --ep webgpu, and with a newer driver of the GPU try again')
  }
  const anyGpu = webgpuAdvice(facts)
  if (!hasGpu(gpu)) {
    const nothing = ['training runs on the CPU; no NVIDIA GPU was found, nothing to install']
    const use = anyGpu.length > 0 ? anyGpu : trials.cpu.works ? nothing : []
    return { problems, advice: [...advice, ...use] }
  }
  if (!cuda) {
    const { platform, arch } = facts.machine
    const use = `training runs on the CPU: ONNX Runtime for Node has a CUDA provider on Linux x64 only, this is ${platform} ${arch}`
    const all = [...advice, ...(trials.cpu.works ? [use] : []), ...anyGpu]
    return { problems, advice: all }
  }
  if (trials.cuda?.works) {
    const flag = device === 0 ? '' : ` --device ${device}`
    return { problems, advice: [...advice, `training can run on the GPU: rdm-fit model.onnx --ep cuda${flag}`] }
  }
  const found = gpuProblems(facts)
  const cpu = trials.cpu.works ? ['until then training runs on the CPU'] : []
  return { problems: [...problems, ...found.problems], advice: [...advice, ...found.advice, ...cpu, ...anyGpu] }
}
