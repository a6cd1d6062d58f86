// The worker thread that holds one session and, for training, the state that goes from step to step.
import { UserError } from '../../core/errors.js'
import { type Tensors, zeros } from '../../core/graph/tensor.js'
import { serve } from '../threads/serve.js'
import type { Load, LoadedModel } from './model.js'
import type {
  CarriedState,
  OpenReply,
  OpenRequest,
  Replies,
  Request,
  RuntimeName,
  SessionSettings,
} from './protocol.js'
import { copyTensor, mapValues, memoryOf } from './tensor.js'

/** Each runtime's own file, loaded where it is asked for. */
const runtimes: Record<RuntimeName, () => Promise<{ readonly load: Load }>> = {
  node: () => import('./ort.js'),
  'web-training': () => import('./ortWeb.js'),
}

interface Open {
  readonly load: Load
  /** Undefined after a model that was to take its place was refused. */
  model: LoadedModel | undefined
  /** Models that are kept aside, by their keys. */
  readonly kept: Map<number, LoadedModel>
  readonly settings: SessionSettings
  /** Outputs that go back to the main thread. */
  readonly visible: readonly string[]
  readonly carried: Readonly<Record<string, string>>
  /** State tensors that no output replaces. */
  readonly fixed: Tensors
  /**
   * Two sets of the carried state, by input name: a step reads one and may write the other. A run that wrote to its own
   * input would compute later nodes from values already replaced. Buffers are set up once, so that with a runtime that
   * writes to them memory does not depend on when the garbage collector runs.
   */
  current: Tensors
  next: Tensors
}

let open: Open | undefined

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

async function openModel({ model: bytes, settings, training }: OpenRequest): Promise<OpenReply> {
  const { load } = await runtimes[settings.runtime ?? 'node']()
  const model = await load(bytes, settings)
  const reply = { inputs: model.inputs, outputs: model.outputs }
  const { state = {}, carried = {} } = training ?? {}
  if (training) checkTraining(training, reply)
  const replaced = new Set(Object.values(carried))
  const carriedState = Object.fromEntries(Object.entries(state).filter(([name]) => replaced.has(name)))
  const fixedState = Object.fromEntries(Object.entries(state).filter(([name]) => !replaced.has(name)))
  open = {
    load,
    model,
    kept: new Map(),
    settings,
    visible: model.outputs.map(({ name }) => name).filter((name) => carried[name] === undefined),
    carried,
    fixed: fixedState,
    current: carriedState,
    next: mapValues(carriedState, (tensor) => zeros(tensor.dtype, tensor.shape)),
  }
  return reply
}

const modelOf = ({ model }: Open): LoadedModel => {
  if (!model) throw new UserError('no model is open: the last one was refused')
  return model
}

async function run(opened: Open, feeds: Tensors): Promise<Tensors> {
  const { visible, carried, fixed, current, next } = opened
  const results = await modelOf(opened).run(
    { ...fixed, ...current, ...feeds },
    {
      ...Object.fromEntries(visible.map((name) => [name, null])),
      ...mapValues(carried, (input) => next[input]!),
    },
  )
  opened.current = Object.fromEntries(Object.entries(carried).map(([output, input]) => [input, results[output]!]))
  opened.next = current
  return Object.fromEntries(visible.map((name) => [name, results[name]!]))
}

async function time(opened: Open, feeds: Tensors, runs: number): Promise<readonly number[]> {
  const model = modelOf(opened)
  const fetches = Object.fromEntries(opened.visible.map((name) => [name, null]))
  const times: number[] = []
  for (let i = 0; i < runs; i++) {
    const begun = performance.now()
    await model.run(feeds, fetches)
    times.push(performance.now() - begun)
  }
  return times
}

async function switchModel(opened: Open, model: Uint8Array): Promise<undefined> {
  // What the old session holds is given back before the new one takes its own.
  await opened.model?.release()
  opened.model = undefined
  opened.model = await opened.load(model, opened.settings)
  return undefined
}

async function exchangeModels(
  opened: Open,
  { keepAs, take }: Extract<Request, { kind: 'exchange' }>,
): Promise<undefined> {
  const next = 'kept' in take ? opened.kept.get(take.kept) : await opened.load(take.model, opened.settings)
  if (!next) throw new Error('that model is not kept')
  opened.kept.set(keepAs, modelOf(opened))
  opened.model = next
  return undefined
}

function readState({ fixed, current }: Open): Tensors {
  return mapValues({ ...fixed, ...current }, copyTensor)
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
    case 'exchange':
      return exchangeModels(open, request)
    case 'readState':
      return readState(open)
    case 'close':
      for (const model of new Set([open.model, ...open.kept.values()])) await model?.release()
      open = undefined
      return undefined
  }
}

serve<Request, Replies>(answer, (request, value) =>
  request.kind === 'run' || request.kind === 'readState' ? memoryOf(value as Tensors) : [],
)
