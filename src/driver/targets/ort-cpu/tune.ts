// Which candidate for each convolution is fastest on this machine: found by timing them, one after the other.

import { UserError } from '../../../core/errors.js'
import type { Tensors } from '../../../core/graph/tensor.js'
import { encodeModel } from '../../../core/onnx/tensors.js'
import { writeModel } from '../../../core/onnx/write.js'
import { randomStream } from '../../../core/random.js'
import type { SessionSettings } from '../../runtime/protocol.js'
import { openSession, type Session } from '../../runtime/session.js'
import type { Timing } from '../target.js'
import type { Call } from './candidates.js'
import { staysInBlocks, trialGraph } from './trial.js'

const ROUNDS = 3
/** Runs in a row. The fastest of all rounds counts: whatever else the machine does can only make a run longer. */
const RUNS = 3
/**
 * After a round, candidates that are so many times slower than the fastest take no part in the next. The first stays: a slow moment
 * of the machine must not cost it its place.
 */
const HOPELESS = 1.6

/** Numbers around zero, repeated. Their values do not matter as long as none is denormal: those are slow. */
const drawn = Float32Array.from(
  { length: 4093 },
  (() => {
    const random = randomStream(1, 'tuning')
    return () => random.uniform() - 0.5
  })(),
)

/** @throws UserError where there is no memory for so many: others may write convolutions of any size */
function floats(dims: readonly number[]): Float32Array<ArrayBuffer> {
  try {
    return new Float32Array(dims.reduce((a, b) => a * b, 1))
  } catch {
    throw new UserError(`a convolution or product takes ${dims.join('×')} numbers, more than memory holds`)
  }
}

function operandsOf({ operands }: Call): Tensors {
  return Object.fromEntries(
    operands.map(({ shape }, i) => {
      const dims = shape as readonly number[]
      const data = floats(dims)
      for (let k = 0; k < data.length; k += drawn.length) data.set(drawn.subarray(0, data.length - k), k)
      return [`x${i}`, { dtype: 'float32', shape: [...dims], data }]
    }),
  )
}

/** Candidates this near to the fastest are as good: the first of them is taken, which needs least memory. */
const NEAR = 1.15
/** The same where the first candidates leave the result in blocks: what follows gains by that. */
const NEAR_IN_BLOCKS = 1.25

/** Times calls one after the other. One session lives at a time: the threads of an idle one would spin beside it. */
export class Tuner {
  #session: Session | undefined

  constructor(
    private readonly block: number,
    private readonly settings: SessionSettings,
  ) {}

  /**
   * Times the candidates for a call against each other, in rounds so that a slow moment of the machine falls on all.
   * @returns undefined when the runtime runs none of them
   */
  async time(call: Call, names: readonly string[]): Promise<Timing | undefined> {
    const feeds = operandsOf(call)
    const models = new Map(
      names.map((name) => {
        const graph = trialGraph(call, name, this.block)
        return [name, encodeModel(writeModel({ graph, weights: new Map() }))]
      }),
    )
    const ms: Record<string, number> = {}
    const fastest = () => Math.min(...Object.values(ms))
    let running = names
    for (let round = 0; round < ROUNDS && (round === 0 || running.length > 1); round++) {
      for (const name of running) {
        try {
          const session = await this.open(models.get(name)!)
          ms[name] = Math.min(ms[name] ?? Number.POSITIVE_INFINITY, ...(await session.time(feeds, RUNS)))
        } catch (error) {
          // A candidate that the runtime refuses is none.
          if (!(error instanceof UserError)) throw error
        }
      }
      running = running.filter((name) => name === names[0] || ms[name]! <= fastest() * HOPELESS)
    }
    const near = staysInBlocks(call, this.block) ? NEAR_IN_BLOCKS : NEAR
    const choice = names.find((name) => ms[name]! <= fastest() * near)
    return choice === undefined ? undefined : { choice, ms }
  }

  async close(): Promise<void> {
    await this.#session?.close()
  }

  private async open(model: Uint8Array): Promise<Session> {
    if (this.#session) await this.#session.replace(model)
    else this.#session = await openSession(model, this.settings)
    return this.#session
  }
}
