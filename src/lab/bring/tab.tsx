// The tab Bring a model: a network of others, what it is, and its fine-tuning in this page.

import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'
import { grouped } from '../../driver/format/table.js'
import { RunCharts } from '../train/charts.js'
import { RunFigures } from '../train/figures.js'
import { Panel } from '../ui/fields.js'
import { saveFile, sizeText } from '../ui/files.js'
import { DataPanel, ModelPanel } from './form.js'
import type { Inspection } from './inspection.js'
import * as model from './model.js'
import * as run from './run.js'
import { HowPanel, StepPanel } from './step.js'
import { TryPanel } from './try.js'
import { Weights } from './weights.js'

export function BringTab() {
  const settings = useSignal(run.firstSettings)
  useEffect(model.follow, [])
  const isBusy = run.phase.value !== 'idle'
  const found = model.inspection.value
  return (
    <div class="columns bring">
      <div class="form">
        <ModelPanel isBusy={isBusy} />
        <DataPanel isBusy={isBusy} />
        <StepPanel isBusy={isBusy} />
        <HowPanel settings={settings} isBusy={isBusy} />
      </div>
      <div class="results">
        {found ? <About found={found} /> : <Nothing />}
        <RunPanel settings={settings.value} />
        <TryPanel />
        {found?.network && <Weights network={found.network} disabled={isBusy || model.usesOwnStep.value} />}
      </div>
    </div>
  )
}

const Nothing = () =>
  run.phase.value === 'idle' ? (
    <Panel title="Someone else’s network, for your own work">
      <ol class="way">
        <li>Bring an .onnx file, whoever trained it: what it is and what could train in it is shown here.</li>
        <li>Give it pictures of your own, in a folder for each class, or take them by the camera.</li>
        <li>It gets a fresh last layer for your classes, and learns them in this page.</li>
        <li>Try it at once, and take the file with you.</li>
      </ol>
    </Panel>
  ) : null

/** Operators that are named; the others are counted. */
const NAMED = 14

function About({ found }: { readonly found: Inspection }) {
  const { file, network, obstacles } = found
  const { name, bytes } = model.file.value!
  const { operators } = file
  const nodes = operators.reduce((sum, [, count]) => sum + count, 0)
  const rest = operators.slice(NAMED).reduce((sum, [, count]) => sum + count, 0)
  const isOwn = model.usesOwnStep.value
  return (
    <Panel title="What it is">
      <dl class="about">
        <Fact name="File">
          <strong>{name}</strong>, {sizeText(bytes.length)}
        </Fact>
        <Fact name="Made by">{file.producer || 'it does not say'}</Fact>
        <Fact name="Opset">{file.opsets.join(', ')}</Fact>
        {network && <Fact name="Takes">{network.inputs.join(', ')}</Fact>}
        {network && <Fact name="Gives">{network.outputs.map((each) => each.join(' ')).join(', ')}</Fact>}
        <Fact name="Numbers">{grouped(file.numbers)}</Fact>
        <Fact name="Operators">
          {grouped(nodes)}:{' '}
          {operators
            .slice(0, NAMED)
            .map(([operator, count]) => `${operator} ${grouped(count)}`)
            .join(', ')}
          {rest > 0 && ` and ${grouped(rest)} of ${operators.length - NAMED} others`}
        </Fact>
        {network && network.compared.length > 0 && !isOwn && (
          <Fact name="Its loss compares">{network.compared.join(' and ')}</Fact>
        )}
      </dl>
      {file.step && (
        <p>
          It has a training step of its own
          {file.step.targets.length > 0 && `, for ${file.step.targets.join(', ')}`}
          {isOwn ? ': it trains as it is.' : ', which is left aside.'}
        </p>
      )}
      {!isOwn && (obstacles.length === 0 ? <p class="good">✓ It can be trained.</p> : <Obstacles lines={obstacles} />)}
    </Panel>
  )
}

const Fact = ({ name, children }: { readonly name: string; readonly children: ComponentChildren }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
)

const SHOWN = 5

const Obstacles = ({ lines }: { readonly lines: readonly string[] }) => (
  <div class="banner" role="alert">
    <strong>It cannot be trained as it is:</strong>
    <ul>
      {lines.slice(0, SHOWN).map((line) => (
        <li key={line}>{line}</li>
      ))}
      {lines.length > SHOWN && <li>and {lines.length - SHOWN} things more</li>}
    </ul>
  </div>
)

function statusOf(): string {
  switch (run.phase.value) {
    case 'preparing':
      return 'Writes the training step …'
    case 'running':
      return 'Trains.'
    case 'paused':
      return 'Waits after the step in progress.'
    case 'stopping':
      return 'Stops after the step in progress …'
    case 'idle':
      return run.outcome.value ?? ''
  }
}

function RunPanel({ settings }: { readonly settings: run.RunSettings }) {
  const phase = run.phase.value
  const at = run.drawnAt.value
  const { numbers } = run.curves
  const [file, data, inspection] = [model.file.value, model.data.value, model.inspection.value]
  const canTrain = file && data && inspection?.network && (model.usesOwnStep.value || inspection.obstacles.length === 0)
  if (!inspection?.network && phase === 'idle' && !numbers && !run.problem.value) return null
  const missing = data ? '' : 'Give it something to learn from, on the left.'
  return (
    <Panel title={run.title.value}>
      <div class="row">
        {phase === 'idle' ? (
          <button
            type="button"
            class="main"
            disabled={!canTrain || model.isReading.value}
            onClick={() => void run.tune({ file: file!, inspection: inspection!, data: data!, settings })}
          >
            Fine-tune it
          </button>
        ) : (
          <>
            <button
              type="button"
              disabled={phase !== 'running' && phase !== 'paused'}
              onClick={phase === 'paused' ? run.unpause : run.pause}
            >
              {phase === 'paused' ? 'Go on' : 'Pause'}
            </button>
            <button type="button" disabled={phase === 'stopping'} onClick={run.stop}>
              Stop
            </button>
          </>
        )}
        {phase === 'idle' && run.tuned.value && (
          <button type="button" onClick={() => saveFile(run.tuned.value!.name, new Uint8Array(run.tuned.value!.model))}>
            Download {run.tuned.value.name}
          </button>
        )}
        {phase === 'idle' && run.tuned.value?.network.hasAdapters && (
          <button type="button" onClick={() => void run.saveMerged(run.tuned.value!)}>
            Download it with the adapters merged
          </button>
        )}
      </div>
      <p role="status" class="status">
        {phase === 'idle' && !numbers ? missing : statusOf()}
      </p>
      <p class="problem" role="alert" hidden={run.problem.value === undefined}>
        {run.problem.value}
      </p>
      {numbers && (
        <>
          <RunFigures numbers={numbers} isOver={phase === 'idle'} />
          <RunCharts curves={run.curves} epochs={numbers.epochs} at={at} />
        </>
      )}
    </Panel>
  )
}
