// The worker thread that holds one session and, for training, the state that goes from step to step.
import { parentPort } from 'node:worker_threads'
import type { InferenceSession, Tensor } from 'onnxruntime-node'
import { messageOf, UserError } from '../errors.js'
import { createSession, fromOrt, runSession, tensorInfo, toOrt } from './ort.js'
import type {
  Answer,
  CarriedState,
  Envelope,
  OpenReply,
  OpenRequest,
  Replies,
  Request,
  SessionSettings,
} from './protocol.js'
import { copyTensor, type HostTensors, memoryOf, zeros } from './tensor.js'

if (parentPort === null) throw new Error('src/runtime/worker runs as a worker thread only')
const port = parentPort

interface Open {
  /** Undefined after a model that was to take its place was refused. */
  session: InferenceSession | undefined
  readonly settings: SessionSettings
  /** Outputs that go back to the main thread. */
  readonly visible: readonly string[]
  readonly carried: Readonly<Record<string, string>>
  /** State tensors that no output replaces. */
  readonly fixed: Record<string, Tensor>
  /**
   * Two sets of the carried state, by input name: a step reads one and writes the other. A run that wrote to its own
   * input would compute later nodes from values already replaced. Buffers are set up once, so memory does not depend
   * on when the garbage collector runs.
   */
  current: Record<string, Tensor>
  next: Record<string, Tensor>
}

let open: Open | undefined

const mapValues = <A, B>(record: Readonly<Record<string, A>>, change: (value: A, key: string) => B) =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]))

/** The state has to fit the model: a mismatch would otherwise show as an obscure failure of the first step. */
function checkTraining({ state, carried }: CarriedState, { inputs, outputs }: OpenReply): void {
  const inputNames = new Set(inputs.map((input) => input.name))
  const outputNames = new Set(outputs.map((output) => output.name))
  for (const name of Object.keys(state)) {
    if (!inputNames.has(name)) throw new UserError(`the training step has no input for the state tensor "${name}"`)
  }
  for (const [output, input] of Object.entries(carried)) {
    if (!outputNames.has(output)) throw new UserError(`the training step has no output "${output}"`)
    if (state[input] === undefined) throw new UserError(`"${output}" replaces "${input}", which is no state tensor`)
  }
}

async function openModel({ model, settings, training }: OpenRequest): Promise<OpenReply> {
  const session = await createSession(model, settings)
  const reply = { inputs: tensorInfo(session.inputMetadata), outputs: tensorInfo(session.outputMetadata) }
  const { state = {}, carried = {} } = training ?? {}
  if (training) checkTraining(training, reply)
  const replaced = new Set(Object.values(carried))
  const carriedState = Object.fromEntries(Object.entries(state).filter(([name]) => replaced.has(name)))
  const fixedState = Object.fromEntries(Object.entries(state).filter(([name]) => !replaced.has(name)))
  open = {
    session,
    settings,
    visible: session.outputNames.filter((name) => carried[name] === undefined),
    carried,
    fixed: mapValues(fixedState, toOrt),
    current: mapValues(carriedState, toOrt),
    next: mapValues(carriedState, (tensor) => toOrt(zeros(tensor.dtype, tensor.shape))),
  }
  return reply
}

const sessionOf = ({ session }: Open): InferenceSession => {
  if (!session) throw new UserError('no model is open: the last one was refused')
  return session
}

async function run(opened: Open, feeds: HostTensors): Promise<HostTensors> {
  const { visible, carried, fixed, current, next } = opened
  const results = await runSession(
    sessionOf(opened),
    { ...fixed, ...current, ...mapValues(feeds, toOrt) },
    {
      ...Object.fromEntries(visible.map((name) => [name, null])),
      ...mapValues(carried, (input) => next[input]!),
    },
  )
  opened.current = next
  opened.next = current
  return Object.fromEntries(visible.map((name) => [name, fromOrt(name, results[name]!)]))
}

async function time(opened: Open, feeds: HostTensors, runs: number): Promise<readonly number[]> {
  const session = sessionOf(opened)
  const fetches = Object.fromEntries(opened.visible.map((name) => [name, null]))
  const given = mapValues(feeds, toOrt)
  const times: number[] = []
  for (let i = 0; i < runs; i++) {
    const begun = performance.now()
    await runSession(session, given, fetches)
    times.push(performance.now() - begun)
  }
  return times
}

async function switchModel(opened: Open, model: Uint8Array): Promise<undefined> {
  // What the old session holds is given back before the new one takes its own.
  await opened.session?.release()
  opened.session = undefined
  opened.session = await createSession(model, opened.settings)
  return undefined
}

function readState({ fixed, current }: Open): HostTensors {
  return mapValues({ ...fixed, ...current }, (tensor, name) => copyTensor(fromOrt(name, tensor)))
}

async function answer(request: Request): Promise<Replies[Request['kind']]> {
  if (request.kind === 'open') return openModel(request)
  if (open === undefined) throw new Error('no model is open')
  switch (request.kind) {
    case 'run':
      return run(open, request.feeds)
    case 'time':
      return time(open, request.feeds, request.runs)
    case 'switch':
      return switchModel(open, request.model)
    case 'readState':
      return readState(open)
    case 'close':
      await open.session?.release()
      open = undefined
      return undefined
  }
}

// One after the other, in the order of arrival: a step must not start before the one that it builds on is done.
let queue: Promise<void> = Promise.resolve()
port.on('message', ({ id, request }: Envelope) => {
  queue = queue.then(async () => {
    try {
      const value = await answer(request)
      // Results belong to nobody here, so their memory moves to the main thread.
      port.postMessage(
        { id, value } satisfies Answer,
        request.kind === 'run' || request.kind === 'readState' ? memoryOf(value as HostTensors) : [],
      )
    } catch (error) {
      const failure = { message: messageOf(error), user: error instanceof UserError }
      port.postMessage({ id, failure } satisfies Answer)
    }
  })
})
