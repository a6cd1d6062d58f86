// The only file that touches onnxruntime-node. Loaded in worker threads and in rdm-doctor's child processes alone: `run`
// blocks the thread it is called on.
import { availableParallelism } from 'node:os'
import ort from 'onnxruntime-node'
import { messageOf, UserError } from '../../core/errors.js'
import { isSmall, type Tensor, tensorOf } from '../../core/graph/tensor.js'
import type { TensorInfo } from '../../core/onnx/signature.js'
import type { LoadedModel } from './model.js'
import type { Provider, SessionSettings } from './protocol.js'
import { dtypeOfRuntime, mapValues } from './tensor.js'

function providerOptions({ provider = 'cpu', device = 0 }: SessionSettings): ort.InferenceSession.SessionOptions {
  switch (provider) {
    case 'cuda':
      return { executionProviders: [{ name: provider, deviceId: device }] }
    case 'webgpu':
      return {
        // In the other layout there is a Transpose before and behind what has channels: a node in ten of a step.
        executionProviders: [{ name: provider, preferredLayout: 'NCHW' }],
        // Bytes come as quantized numbers: what makes fewer of those moves them to where there is no kernel for them.
        extra: { session: { disable_quant_qdq: '1' } },
      }
    default:
      return { executionProviders: [provider] }
  }
}

/** Session options, all in one place. */
export function sessionOptions(settings: SessionSettings): ort.InferenceSession.SessionOptions {
  const { threads = availableParallelism(), optimize = true } = settings
  return {
    ...providerOptions(settings),
    // Always set, because results depend on it in the last bit: training and evaluation take the same number.
    intraOpNumThreads: threads,
    // The parallel executor makes a training step slower: its operators share one pool of threads as it is.
    executionMode: 'sequential',
    graphOptimizationLevel: optimize ? 'all' : 'disabled',
    // The arena keeps freed activations for the next step; without it every large tensor is mapped and faulted in anew.
    enableCpuMemArena: true,
    // A pattern reserves one block for all activations of a batch size at once, a third more than they need as they come
    // and go (RDM-ResNet-56: 1.6 against 1.2 GB), and gains no time; the last batch of an epoch would reserve another.
    enableMemPattern: false,
    logSeverityLevel: 4,
  }
}

/** How to get a provider that ONNX Runtime does not find. */
const whatToInstall: Record<Exclude<Provider, 'cpu'>, string> = {
  cuda:
    "it needs an NVIDIA GPU with its driver, CUDA and cuDNN, and ONNX Runtime's CUDA provider libraries; " +
    '`npx rdm-doctor` says which of them is missing and how to get it; or leave out --ep cuda',
  webgpu:
    'it needs a GPU with its driver; on Linux also the Vulkan loader (Debian: libvulkan1) and a Vulkan driver (mesa-vulkan-drivers, ' +
    "or NVIDIA's); `npx rdm-doctor` says what it finds; or leave out --ep webgpu",
}

/** What ONNX Runtime says of a provider that is not there. */
const notThere = /AppendExecutionProvider|backend not found|shared library|WebGPU adapter/i

/** Without the place in ONNX Runtime's sources where a condition was not met. */
const oneLine = (error: unknown) =>
  messageOf(error)
    .replace(/\s+/g, ' ')
    .replace(/^\S+\.cc:\d+ .* was false\. /, '')
    .trim()

// Errors arrive as exceptions; printing them as well would tear the progress bar.
ort.env.logLevel = 'fatal'

/**
 * Lets ONNX Runtime print its errors on standard error: why a provider's library does not load stands nowhere else.
 * To be called before the first session of the process is created.
 */
export function printErrors(): void {
  ort.env.logLevel = 'error'
}

/** The execution providers that the native library knows, whether they come with it or not. */
export const knownProviders = (): readonly string[] => ort.listSupportedBackends().map(({ name }) => name)

/**
 * Creates a session.
 * @param profileTo path that the file of ONNX Runtime's profiler begins with; no profiler without
 * @throws UserError when the provider is not there or ONNX Runtime refuses the model.
 */
export async function createSession(
  model: Uint8Array,
  settings: SessionSettings,
  profileTo?: string,
): Promise<ort.InferenceSession> {
  const provider = settings.provider ?? 'cpu'
  try {
    const profiler = profileTo === undefined ? {} : { enableProfiling: true, profileFilePrefix: profileTo }
    return await ort.InferenceSession.create(model, { ...sessionOptions(settings), ...profiler })
  } catch (error) {
    const reason = oneLine(error)
    if (provider !== 'cpu' && notThere.test(reason)) {
      throw new UserError(
        `the execution provider "${provider}" is not available: ${whatToInstall[provider]} (${reason})`,
      )
    }
    throw new UserError(`ONNX Runtime refuses the model: ${reason}`)
  }
}

/** Runs a session; `fetches` names the outputs, each with the tensor to write it to or null. */
export async function runSession(
  session: ort.InferenceSession,
  feeds: Record<string, ort.Tensor>,
  fetches: Record<string, ort.Tensor | null>,
): Promise<ort.InferenceSession.ReturnType> {
  try {
    return await session.run(feeds, fetches)
  } catch (error) {
    throw new UserError(`ONNX Runtime cannot run the model: ${oneLine(error)}`)
  }
}

/** What the session says about its inputs or outputs. */
export function tensorInfo(metadata: readonly ort.InferenceSession.ValueMetadata[]): TensorInfo[] {
  return metadata.map((value) => {
    if (!value.isTensor) throw new UserError(`"${value.name}" is not a tensor`)
    return { name: value.name, dtype: dtypeOfRuntime(value.name, value.type), shape: value.shape }
  })
}

/** The tensor as ONNX Runtime takes it; shares the memory. */
export function toOrt({ dtype, data, shape }: Tensor): ort.Tensor {
  if (dtype === 'bfloat16' || isSmall(dtype))
    throw new UserError(`ONNX Runtime for Node has no ${dtype} tensors; cast to float32`)
  return new ort.Tensor(dtype, data, shape)
}

/** The tensor as the rest of the product takes it; shares the memory. */
export const fromOrt = (name: string, { type, dims, data }: ort.Tensor): Tensor =>
  tensorOf(dtypeOfRuntime(name, type), [...dims], data as Tensor['data'])

/** A model in onnxruntime-node. */
export async function load(model: Uint8Array, settings: SessionSettings): Promise<LoadedModel> {
  const session = await createSession(model, settings)
  return {
    inputs: tensorInfo(session.inputMetadata),
    outputs: tensorInfo(session.outputMetadata),
    async run(feeds, fetches) {
      const into = mapValues(fetches, (tensor) => tensor && toOrt(tensor))
      const results = await runSession(session, mapValues(feeds, toOrt), into)
      return mapValues(fetches, (_, name) => fromOrt(name, results[name]!))
    },
    release: () => session.release(),
  }
}
