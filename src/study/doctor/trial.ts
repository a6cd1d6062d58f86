// Whether a provider really computes: a convolution on it, in a child process that may crash or hang.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { type Provider, providers } from '../../driver/runtime/protocol.js'
import type { Ended, System } from './system.js'

export const childJob = z.object({
  provider: z.enum(providers),
  device: z.int().min(0),
  /** An empty folder for the profile. */
  folder: z.string(),
})

const childAnswer = z.union([
  z.object({
    /** The providers that the native library knows. */
    providers: z.array(z.string()).readonly(),
    /** Where the convolution was placed. */
    placed: z.array(z.string()).readonly(),
    /** Largest error, relative to the largest number; null when the result is no number. */
    error: z.number().nullable(),
  }),
  z.object({ providers: z.array(z.string()).readonly(), failure: z.string() }),
])
export type ChildAnswer = z.infer<typeof childAnswer>

/** What became of the convolution on a provider. */
export interface Trial {
  readonly works: boolean
  /** One line: what happened. */
  readonly said: string
  /** The providers that the native library knows; none when it did not come to that. */
  readonly providers: readonly string[]
}

/** Milliseconds. A GPU that the provider has no machine code for compiles all kernels first. */
const LIMIT = 180_000

/** Algorithms that transform the numbers first (Winograd, FFT) round less than this; one product left out is more. */
const TOLERANCE = 1e-3

/** The names that ONNX Runtime's profiler writes. */
export const placeNames: Record<Provider, string> = {
  cpu: 'CPUExecutionProvider',
  cuda: 'CUDAExecutionProvider',
  webgpu: 'WebGpuExecutionProvider',
}

/** Tries a provider. Resolves whatever the provider does. */
export async function tryProvider(system: System, provider: Provider, device: number): Promise<Trial> {
  const folder = await mkdtemp(join(tmpdir(), 'rdm-doctor-'))
  try {
    const job = JSON.stringify({ provider, device, folder } satisfies z.input<typeof childJob>)
    const child = fileURLToPath(new URL('./child.js', import.meta.url))
    return judge(provider, await system.run(process.execPath, [child, job], LIMIT))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function parseAnswer(out: string): ChildAnswer | undefined {
  try {
    return childAnswer.parse(JSON.parse(out.trim().split('\n').at(-1)!))
  } catch {
    return undefined
  }
}

/** What stands between the severity and the text of ONNX Runtime's errors: places in its sources, a code. */
const errorHead = /^.*\[ONNXRuntimeError\] : \d+ : \w+ : /

/** What CUDA and its libraries said, amid the places in ONNX Runtime's sources where they said it. */
const cudaFailure = /\bCU\w+ failure \d+: .+?(?= ;|$)/

/** What the WebGPU provider says where there is no GPU for it, amid what to do about that. */
const noAdapter = /Failed to get a WebGPU adapter: [^)]*/

function printedLines(err: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
  const lines = err.replace(/\x1b\[[\d;]*m/g, '').split('\n')
  return lines.map((line) => line.trim()).filter((line) => line !== '')
}

function judge(provider: Provider, ended: Ended): Trial {
  const answer = ended.kind === 'missing' ? undefined : parseAnswer(ended.out)
  const result = (works: boolean, said: string): Trial => ({ works, said, providers: answer?.providers ?? [] })
  if (ended.kind === 'missing') return result(false, `the child process could not be started: ${ended.reason}`)
  const printed = printedLines(ended.err)
  const last = printed.at(-1)?.replace(errorHead, '')
  const also = last ? `: ${last}` : ''
  if (ended.kind === 'hung') return result(false, `no answer within ${LIMIT / 1000} s${also}`)
  if (ended.kind === 'crashed') {
    return result(
      false,
      `crashed by ${ended.signal}${answer && 'placed' in answer ? ' after it had computed' : ''}${also}`,
    )
  }
  if (!answer) return result(false, `ended with code ${ended.code} and no answer${also}`)
  if ('failure' in answer) {
    // What is printed names the library that does not load; the exception does not.
    const reason = printed.findLast((line) => errorHead.test(line))?.replace(errorHead, '') ?? answer.failure
    return result(false, (cudaFailure.exec(reason) ?? noAdapter.exec(reason))?.[0] ?? reason)
  }
  const elsewhere = answer.placed.filter((place) => place !== placeNames[provider])
  if (answer.placed.length === 0) return result(false, 'the profile does not say where the convolution ran')
  if (elsewhere.length > 0) return result(false, `the convolution was placed on ${elsewhere.join(' and ')} instead`)
  if (answer.error === null || answer.error > TOLERANCE) {
    return result(false, `wrong result: it is off by ${answer.error === null ? 'NaN' : `${answer.error * 100} %`}`)
  }
  return result(true, `computed by ${placeNames[provider]}, largest relative error ${answer.error.toPrecision(1)}`)
}
