// The tab Train: the designed network, trained in this page.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { messageOf } from '../../core/errors.js'
import { grouped } from '../../driver/format/table.js'
import { design } from '../address.js'
import { choices } from '../export/tab.js'
import { Panel } from '../ui/fields.js'
import { saveFile } from '../ui/files.js'
import { RunCharts } from './charts.js'
import { type Data, misfitOf } from './data.js'
import { RunFigures } from './figures.js'
import { TrainForm } from './form.js'
import { Confusion, Pictures } from './results.js'
import * as training from './training.js'

export function TrainTab() {
  const data = useSignal<Data | undefined>(undefined)
  const settings = useSignal(training.firstSettings)
  const phase = training.phase.value
  useEffect(() => void training.lookForKept(), [])
  return (
    <div class="columns">
      <TrainForm data={data} settings={settings} isBusy={phase !== 'idle'} />
      <div class="results">
        <KeptPanel data={data.value} />
        <RunPanel
          canStart={data.value !== undefined && misfitOf(design.value, data.value) === undefined}
          onStart={() => void training.start(design.value, choices.value, settings.value, data.value!)}
        />
        <Pictures />
        <Confusion />
      </div>
    </div>
  )
}

/** The run that was kept, until it goes on or is given up. */
function KeptPanel({ data }: { readonly data: Data | undefined }) {
  const run = training.kept.value
  if (!run || training.phase.value !== 'idle') return null
  const { about, epoch, epochs, step } = run
  const isOver = epoch >= epochs
  // Nothing more than what is shown already.
  if (isOver && training.files.value) return null
  const isMissing = about.source.kind === 'files' && data?.source.kind !== 'files'
  return (
    <Panel title="The run that this browser keeps" class="kept">
      <p class="wrapped">
        <strong>{about.name}</strong>
        {`: ${isOver ? 'finished, ' : ''}${grouped(step)} steps, ${epoch} of ${epochs} ${epochs === 1 ? 'epoch' : 'epochs'}.`}
        {isMissing &&
          ` Choose its data set again (${about.source.kind === 'files' && about.source.name}), then it can go on.`}
      </p>
      <div class="row">
        <button type="button" class="main" disabled={isMissing} onClick={() => void training.goOn(run, data)}>
          {isOver ? 'Show it' : 'Go on'}
        </button>
        <button type="button" onClick={() => void training.discardKept()}>
          Discard it
        </button>
        <span class="hint">A new run takes its place.</span>
      </div>
    </Panel>
  )
}

const where = { wasm: 'on the processor (WebAssembly)', webgpu: 'on the GPU (WebGPU)' } as const

function status(): string {
  const { phase, outcome, provider } = training
  const at = provider.value ? where[provider.value] : ''
  switch (phase.value) {
    case 'preparing':
      return 'Writes the training step …'
    case 'trial':
      return 'Tries a few steps on the processor and on the GPU …'
    case 'running':
      return `Trains ${at}.`
    case 'paused':
      return 'Waits after the step in progress. A checkpoint is kept.'
    case 'stopping':
      return 'Stops after the step in progress …'
    case 'judging':
      return `${outcome.value} Looks at the test set …`
    case 'idle':
      return outcome.value ?? 'Nothing is trained yet.'
  }
}

function RunPanel({ canStart, onStart }: { readonly canStart: boolean; readonly onStart: () => void }) {
  const phase = training.phase.value
  const at = training.drawnAt.value
  const { numbers } = training.curves
  const isUnderWay = phase === 'running' || phase === 'paused'
  const problem = training.problem.value
  const saving = useSignal<string | undefined>(undefined)
  const save = async (name: string, bytes: () => Promise<Uint8Array | undefined>) => {
    try {
      const found = await bytes()
      saving.value = found ? undefined : `there is no ${name} yet`
      if (found) saveFile(name, new Uint8Array(found))
    } catch (error) {
      saving.value = messageOf(error)
    }
  }
  return (
    <Panel title="The run">
      <div class="row">
        {phase === 'idle' ? (
          <button type="button" class="main" disabled={!canStart} onClick={onStart}>
            Train
          </button>
        ) : (
          <>
            <button
              type="button"
              disabled={!isUnderWay}
              onClick={phase === 'paused' ? training.unpause : training.pause}
            >
              {phase === 'paused' ? 'Go on' : 'Pause'}
            </button>
            <button type="button" disabled={phase === 'stopping' || phase === 'judging'} onClick={training.stop}>
              Stop
            </button>
          </>
        )}
        {(isUnderWay || training.files.value) && (
          <>
            <button type="button" onClick={() => void save('model.onnx', training.modelNow)}>
              Download model.onnx
            </button>
            <button type="button" onClick={() => void save('checkpoint.safetensors', training.checkpointNow)}>
              Download the checkpoint
            </button>
          </>
        )}
      </div>
      <p role="status" class="status">
        {status()}
      </p>
      <p class="problem" role="alert" hidden={(problem ?? saving.value) === undefined}>
        {problem ?? saving.value}
      </p>
      <TrialLine />
      {numbers && (
        <>
          <RunFigures numbers={numbers} isOver={phase === 'idle'} />
          <RunCharts curves={training.curves} epochs={numbers.epochs} at={at} />
        </>
      )}
    </Panel>
  )
}

/** What the quick trial found. */
function TrialLine() {
  const trials = training.trials.value
  if (trials.length < 2) return null
  const said = trials.map(({ provider, ms, problem }) => {
    const name = provider === 'wasm' ? 'processor' : 'GPU'
    return `${name} ${ms === undefined ? `not (${problem})` : `${ms.toPrecision(3)} ms a step`}`
  })
  return <p class="hint">The quick trial: {said.join(', ')}.</p>
}
