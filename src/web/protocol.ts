// What a page and its worker say to each other, besides the envelopes that carry it.

import type { Tensors } from '../core/graph/tensor.js'
import type { TestAugment } from '../core/model/recipe.js'
import type { TensorInfo } from '../core/onnx/signature.js'
import type { InputColumns } from '../driver/data/bind.js'
import type { Dataset, Split } from '../driver/data/dataset.js'
import type { Evaluation } from '../driver/evaluation/modelEvaluation.js'
import type { FitEvent } from '../driver/fit/events.js'
import type { FitResult } from '../driver/fit/run.js'
import type { FitOverrides } from '../driver/fit/settings.js'
import type { Answer, Envelope } from '../driver/threads/protocol.js'

/** Where a model computes: WebAssembly on the processor, or WebGPU. */
export const webProviders = ['wasm', 'webgpu'] as const
/** One of {@link webProviders}. */
export type WebProvider = (typeof webProviders)[number]

/** Where a page computes, and from where it loads onnxruntime-web. */
export interface WebSettings {
  /** `wasm` when left out. */
  readonly provider?: WebProvider | undefined
  /**
   * Threads of WebAssembly, all cores when left out. There is one where the page is not cross-origin isolated: it has to be served
   * with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.
   */
  readonly threads?: number | undefined
  /**
   * Address of the module of onnxruntime-web to run with, for pages that neither a bundler made nor a folder node_modules serves:
   * `…/onnxruntime-web/dist/ort.wasm.bundle.min.mjs`, or `ort.webgpu.bundle.min.mjs` for WebGPU.
   */
  readonly runtime?: string | undefined
}

/** Settings of a run that a page may choose. How a step is written for which runtime is Node's alone. */
export type WebOverrides = Omit<
  FitOverrides,
  'runtime' | 'provider' | 'device' | 'target' | 'precision' | 'stepsPerRun' | 'threads'
>

export interface FitRequest {
  readonly kind: 'fit'
  readonly model: Uint8Array
  readonly data: Pick<Dataset, 'train' | 'test'>
  readonly settings: WebSettings
  readonly config: WebOverrides
  readonly resume: boolean
  /** What the store is called in messages. */
  readonly where: string
}

export interface FitReply extends Omit<FitResult, 'state'> {
  readonly checkpoint: Uint8Array
  readonly model: Uint8Array
}

export type Request =
  | FitRequest
  | { readonly kind: 'pause' | 'resume' | 'stop' }
  /** The model with the weights of the moment, of a run under way. */
  | { readonly kind: 'snapshot' }
  | { readonly kind: 'open'; readonly model: Uint8Array; readonly settings: WebSettings }
  | { readonly kind: 'run'; readonly feeds: Tensors }
  | {
      readonly kind: 'evaluate'
      readonly model: Uint8Array
      readonly split: Split
      readonly settings: WebSettings
      readonly inputs: InputColumns | undefined
      readonly testAugment: TestAugment | undefined
    }
  | { readonly kind: 'drawState'; readonly model: Uint8Array; readonly seed: number; readonly settings: WebSettings }
  /** The page's answer to a question of the worker. */
  | {
      readonly kind: 'told'
      readonly question: number
      readonly value?: Uint8Array | undefined
      readonly failure?: string
    }

/** Answers by kind of request. */
export interface Replies {
  fit: FitReply
  pause: undefined
  resume: undefined
  stop: undefined
  snapshot: Uint8Array
  open: { readonly inputs: readonly TensorInfo[]; readonly outputs: readonly TensorInfo[] }
  run: Tensors
  evaluate: Evaluation | undefined
  drawState: Tensors
  told: undefined
}

/** What the worker asks of the store that the page keeps: to read a file, or to write one. */
export interface Question {
  readonly question: number
  readonly name: string
  readonly bytes?: Uint8Array | undefined
}

export type ToWorker = Envelope<Request>
export type ToPage = Answer | Question | { readonly event: FitEvent }
