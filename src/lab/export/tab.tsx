// The tab Export: the designed network as a file, the same to the byte as rdm-export writes it.

import { signal, useSignal } from '@preact/signals'
import { z } from 'zod'
import { recipeNames } from '../../../graphs/recipes.js'
import { messageOf } from '../../core/errors.js'
import { inits } from '../../core/layers/index.js'
import { losses } from '../../core/losses/text.js'
import { type Part, parts } from '../../core/model/write.js'
import { writableOpsets } from '../../core/onnx/opsets.js'
import { levelNames, type PortableLevel } from '../../core/targets/portable/basic.js'
import { decimalNumber } from '../../study/text.js'
import { design } from '../address.js'
import { architectureOf } from '../design/design.js'
import { Check, Choice, Panel, Select, TextField, WholeField } from '../ui/fields.js'
import { saveFile, sizeText } from '../ui/files.js'
import { lineOf } from '../ui/lines.js'
import { OptimizerField, RateField } from '../ui/stepFields.js'
import { Work } from '../work/work.js'
import { type Choices, commandFor, firstChoices, optionsFor } from './choices.js'

export const choices = signal<Choices>(firstChoices)
const choose = (changes: Partial<Choices>) => {
  choices.value = { ...choices.value, ...changes }
}

const aboutParts: Readonly<Record<Part, string>> = {
  all: 'model.onnx: the network with its weights, and its training step beside it, where ONNX has a place for it.',
  train: 'The training step alone, a plain model: weights and a batch go in, new weights and the loss come out.',
  init: 'What draws first weights, a plain model.',
  infer: 'The network alone, with first weights.',
}

const fileName = (part: Part): string => (part === 'all' ? 'model.onnx' : `${part}.onnx`)

export function ExportTab() {
  const chosen = choices.value
  return (
    <div class="columns">
      <div class="form">
        <FileFields />
        <StepFields />
      </div>
      <div class="results">
        <Result />
        <Panel title="The same by the command line">
          <Command text={commandFor(design.value, chosen, fileName(chosen.part))} />
          <p class="hint">
            It writes the same bytes. <code>npx rdm-fit {fileName('all')} --data FOLDER --out runs/mine</code> then
            trains it.
          </p>
        </Panel>
      </div>
    </div>
  )
}

function FileFields() {
  const { part, opset, level, inline, seed, gates, init } = choices.value
  const opsets = Array.from({ length: writableOpsets.to - writableOpsets.from + 1 }, (_, i) =>
    String(writableOpsets.from + i),
  )
  return (
    <Panel title="The file">
      <Choice
        label="Part"
        value={part}
        choices={parts.map((each) => [each, each === 'all' ? 'model.onnx' : each] as const)}
        onChange={(next) => choose({ part: next })}
      />
      <p class="hint">{aboutParts[part]}</p>
      <Select
        label="Version of ONNX’s operators"
        value={String(opset)}
        choices={opsets.map((each) => [each, each] as const)}
        onChange={(next) => choose({ opset: Number(next) })}
      />
      <Choice<PortableLevel>
        label="Operators of the step"
        value={level}
        choices={levelNames.map((each) => [each, each] as const)}
        onChange={(next) => choose({ level: next })}
      />
      <p class="hint">basic is written in those that most runtimes have.</p>
      <Check checked={inline} onChange={(on) => choose({ inline: on })}>
        No local functions: their bodies in place
      </Check>
      <Check checked={gates} disabled={part === 'train' || part === 'init'} onChange={(on) => choose({ gates: on })}>
        A gate on every residual function
      </Check>
      <WholeField
        label="Seed of the first weights"
        value={seed}
        {...{ min: 0, max: Number.MAX_SAFE_INTEGER }}
        onChange={(next) => choose({ seed: next })}
      />
      <Select
        label="How they are drawn"
        value={init ?? ''}
        choices={[['', 'as the recipe says'] as const, ...inits.map((each) => [each, each] as const)]}
        onChange={(next) => choose({ init: next === '' ? undefined : next })}
      />
    </Panel>
  )
}

/** A number, or nothing where the field is empty. */
const perhaps = (min: number, max: number): z.ZodType<number | undefined, string> =>
  z.string().transform((text, context) => {
    if (text.trim() === '') return undefined
    const read = decimalNumber(min, max).safeParse(text.trim())
    if (read.success) return read.data
    context.addIssue(`${read.error.issues[0]!.message}, or nothing`)
    return z.NEVER
  })

interface PerhapsProps {
  readonly label: string
  readonly name: 'momentum' | 'weightDecay' | 'labelSmoothing' | 'clipNorm' | 'ema'
  readonly max: number
  readonly min?: number
  readonly placeholder: string
}

const PerhapsField = ({ label, name, min = 0, max, placeholder }: PerhapsProps) => (
  <TextField<number | undefined>
    label={label}
    value={choices.value[name]}
    format={(value) => (value === undefined ? '' : String(value))}
    schema={perhaps(min, max)}
    inputMode="decimal"
    placeholder={placeholder}
    onChange={(next) => choose({ [name]: next })}
  />
)

function StepFields() {
  const { recipe, optimizer, nesterov, lr, loss } = choices.value
  const hasMomentum = optimizer === 'sgd' || optimizer === 'muon'
  const usual = optimizer === 'sgd' ? 'the recipe’s' : 'the optimizer’s'
  return (
    <Panel title="How it is trained">
      <Select
        label="Recipe"
        value={recipe ?? ''}
        choices={[['', 'that of the network'] as const, ...recipeNames.map((each) => [each, each] as const)]}
        onChange={(next) => choose({ recipe: next === '' ? undefined : next })}
      />
      <Select
        label="Loss"
        value={loss}
        choices={Object.keys(losses).map((each) => [each, each] as const)}
        onChange={(next) => choose({ loss: next })}
      />
      {loss === 'cross-entropy' && (
        <PerhapsField label="Label smoothing" name="labelSmoothing" max={1} placeholder="none" />
      )}
      <OptimizerField value={optimizer} onChange={(next) => choose({ optimizer: next })} />
      <RateField
        hint="epoch:rate pairs, one rate, or cosine:max=0.1,warmup=5"
        usual={usual}
        value={lr}
        onChange={(next) => choose({ lr: next })}
      />
      <div class="pair">
        {hasMomentum && <PerhapsField label="Momentum" name="momentum" max={0.999999} placeholder={usual} />}
        <PerhapsField label="Weight decay" name="weightDecay" max={1} placeholder={usual} />
      </div>
      {optimizer === 'sgd' && (
        <Check checked={nesterov} onChange={(on) => choose({ nesterov: on })}>
          Nesterov momentum
        </Check>
      )}
      <div class="pair">
        <PerhapsField label="Largest gradient norm" name="clipNorm" min={1e-12} max={1e12} placeholder="no clipping" />
        <PerhapsField label="Decay of the weights’ average" name="ema" max={1} placeholder="no average" />
      </div>
    </Panel>
  )
}

const work = new Work()

function Result() {
  const state = useSignal<'ready' | 'writing'>('ready')
  const said = useSignal('')
  const problem = useSignal<string | undefined>(undefined)
  const { part } = choices.value
  const write = async () => {
    const name = fileName(part)
    problem.value = undefined
    said.value = ''
    state.value = 'writing'
    try {
      const bytes = await work.ask('file', optionsFor(design.value, choices.value))
      if (!bytes) return
      saveFile(name, bytes)
      said.value = `${name}: ${sizeText(bytes.length)}${await digest(bytes)}`
    } catch (error) {
      problem.value = lineOf(error)
    } finally {
      state.value = 'ready'
    }
  }
  const [name, bad] = nameIn()
  return (
    <Panel title="Download">
      <p>
        <strong>{name}</strong>, opset {choices.value.opset}
      </p>
      <p class="row">
        <button type="button" class="main" disabled={state.value === 'writing' || bad !== undefined} onClick={write}>
          {state.value === 'writing' ? 'Writing …' : `Download ${fileName(part)}`}
        </button>
        {state.value === 'writing' && (
          <button type="button" onClick={() => work.stop()}>
            Stop
          </button>
        )}
      </p>
      <p class="written" role="status">
        {said.value}
      </p>
      <p class="problem" role="alert" hidden={(bad ?? problem.value) === undefined}>
        {bad ?? problem.value}
      </p>
    </Panel>
  )
}

/** The network's name, or what is wrong with the design. */
function nameIn(): readonly [name: string, problem?: string] {
  try {
    return [architectureOf(design.value).name]
  } catch (error) {
    return ['no network', messageOf(error)]
  }
}

/** What tells the bytes from others; nothing where the page has no secure origin. */
async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  if (!globalThis.isSecureContext) return ''
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return `, SHA-256 ${[...sum].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`
}

function Command({ text }: { readonly text: string }) {
  const copied = useSignal(false)
  const copy = async () => {
    await navigator.clipboard.writeText(text)
    copied.value = true
    setTimeout(() => {
      copied.value = false
    }, 1500)
  }
  return (
    <div class="command">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard */}
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
      {globalThis.isSecureContext && (
        <button type="button" onClick={copy}>
          {copied.value ? 'Copied' : 'Copy'}
        </button>
      )}
    </div>
  )
}
