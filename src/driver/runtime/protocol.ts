// What the main thread and the runtime's worker thread say to each other.
import type { Tensors } from '../../core/graph/tensor.js'
import type { TensorInfo } from '../../core/onnx/signature.js'

/** What runs a model: onnxruntime-node, or the last training build of onnxruntime-web, which is WebAssembly. */
export const runtimes = ['node', 'web-training'] as const
/** What runs a model, one of {@link runtimes}. */
export type RuntimeName = (typeof runtimes)[number]

/**
 * Where a session computes: ONNX Runtime's CPU provider, its CUDA provider on an NVIDIA GPU, or its WebGPU provider on whatever GPU
 * Metal, Direct3D 12 or Vulkan has.
 */
export const providers = ['cpu', 'cuda', 'webgpu'] as const
/** Where a session computes, one of {@link providers}. */
export type Provider = (typeof providers)[number]

/** In which runtime a session is opened, and with which threads or GPU. */
export interface SessionSettings {
  /** `node` when left out. */
  readonly runtime?: RuntimeName
  /** Threads that one operator may use; all cores when left out. */
  readonly threads?: number
  /** `cpu` when left out. */
  readonly provider?: Provider
  /** Which GPU, counted from 0 as CUDA counts them; the first when left out. For CUDA alone: WebGPU takes the system's. */
  readonly device?: number
  /** Whether the runtime rewrites the graph to make it faster; true when left out. Takes seconds for a large step. */
  readonly optimize?: boolean
  /**
   * In a process of its own, in which a native crash or a run without end stays: for models that others wrote. In a thread when
   * left out.
   */
  readonly apart?: boolean
}

/** What a training session carries from step to step: tensors by name, and which output becomes which of them. */
export interface CarriedState {
  readonly state: Tensors
  /** Output name → name of the state tensor (an input) that it replaces. */
  readonly carried: Readonly<Record<string, string>>
}

export interface OpenRequest {
  readonly kind: 'open'
  readonly model: Uint8Array
  readonly settings: SessionSettings
  readonly training?: CarriedState
}

export type Request =
  | OpenRequest
  /** Another model for the same state, in the place of the open one. */
  | { kind: 'switch'; model: Uint8Array }
  /** The same, and the open one is kept aside by its key; a model that was kept comes without its bytes. */
  | { kind: 'exchange'; keepAs: number; take: { readonly kept: number } | { readonly model: Uint8Array } }
  | { kind: 'run'; feeds: Tensors }
  /** The run, so many times over. */
  | { kind: 'time'; feeds: Tensors; runs: number }
  | { kind: 'readState' }
  | { kind: 'close' }

export interface OpenReply {
  readonly inputs: readonly TensorInfo[]
  readonly outputs: readonly TensorInfo[]
}

/** Answers by kind of request. */
export interface Replies {
  open: OpenReply
  switch: undefined
  exchange: undefined
  run: Tensors
  time: readonly number[]
  readState: Tensors
  close: undefined
}
