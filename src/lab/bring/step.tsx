// How the network that was brought is trained: the training step, and the run.

import { type Signal, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { z } from 'zod'
import { normalization, normalizations } from '../../../graphs/normalization.js'
import { losses } from '../../core/losses/text.js'
import type { InputColumns } from '../../driver/data/bind.js'
import { namedShape } from '../../study/text.js'
import { hasGpu } from '../train/trial.js'
import { Check, Choice, Panel, Select, TextField, WholeField } from '../ui/fields.js'
import { OptimizerField, perhaps, RateField } from '../ui/stepFields.js'
import * as model from './model.js'
import type { RunSettings } from './run.js'

/** Sizes of an input, with commas between. */
const sizesOf = (name: string): z.ZodType<string, string> =>
  z.string().transform((text, context) => {
    const read = namedShape.safeParse(`${name}=${text.trim()}`)
    if (read.success) return text.trim()
    context.addIssue('write the size of each axis, as in batch,3,224,224')
    return z.NEVER
  })

export function StepPanel({ isBusy }: { readonly isBusy: boolean }) {
  const found = model.inspection.value
  const network = found?.network
  if (!found || !network) return null
  const { shapes, loss, output, train, lora, normalize, batchNorm, optimizer, rate, freshHead } = model.choices.value
  const { choose } = model
  const { step } = found.file
  const isOwn = model.usesOwnStep.value
  const sizes = { ...Object.fromEntries(network.open), ...shapes }
  return (
    <Panel title="What is trained">
      <fieldset disabled={isBusy} class="form" aria-label="what is trained">
        {step && (
          <Choice
            label="The training step"
            value={isOwn ? 'own' : 'new'}
            choices={[
              ['own', 'the file’s own'],
              ['new', 'a new one'],
            ]}
            onChange={(next) => choose({ ownStep: next === 'own' })}
          />
        )}
        {Object.entries(sizes).map(([name, said]) => (
          <TextField
            key={name}
            label={`Sizes of ${name}`}
            hint="which the file leaves open; numbers for names"
            value={said}
            format={(value) => value}
            schema={sizesOf(name)}
            onChange={(next) => choose({ shapes: { ...shapes, [name]: next } })}
          />
        ))}
        {!isOwn && (
          <>
            {network.last.length > 0 && (
              <Check checked={freshHead} onChange={(on) => choose({ freshHead: on })}>
                A fresh last layer for the classes of the data
              </Check>
            )}
            <Select
              label="Loss"
              value={loss}
              choices={[
                ...Object.keys(losses).map((each) => [each, each] as const),
                ...network.outputs.map(([name]) => [`output:${name}`, `${name} is the loss itself`] as const),
              ]}
              onChange={(next) => choose({ loss: next })}
            />
            {network.outputs.length > 1 && (
              <Select
                label="Of the output"
                value={output ?? ''}
                choices={[
                  ['', 'logits, or the only one of floats'] as const,
                  ...network.outputs.map(([name]) => [name, name] as const),
                ]}
                onChange={(next) => choose({ output: next === '' ? undefined : next })}
              />
            )}
            {network.normalize !== undefined && (
              <TextField<string | undefined>
                label="Pixels are normalized by"
                hint={`${Object.keys(normalizations).join(', ')}, or mean=0.5,std=0.5`}
                value={normalize ?? network.normalize}
                format={(value) => value ?? ''}
                schema={perhaps(normalization)}
                onChange={(next) => choose({ normalize: next })}
              />
            )}
            <WholeField
              label="Adapters of rank (LoRA)"
              hint={
                lora === 0
                  ? '0: none'
                  : train === 'last' || train === 'all'
                    ? 'they alone train, and a fresh last layer'
                    : ''
              }
              value={lora}
              {...{ min: 0, max: 256 }}
              onChange={(next) => choose({ lora: next })}
            />
            <Choice
              label="Batch norms go by"
              value={batchNorm}
              choices={[
                ['frozen', 'the file’s statistics'],
                ['train', 'the batch'],
              ]}
              onChange={(next) => choose({ batchNorm: next })}
            />
            <OptimizerField value={optimizer} onChange={(next) => choose({ optimizer: next })} />
            <RateField
              hint="one rate, epoch:rate pairs, or cosine:max=0.01,warmup=1"
              usual={train === 'last' && lora === 0 ? '0.01' : '0.001'}
              value={rate}
              onChange={(next) => choose({ rate: next })}
            />
          </>
        )}
      </fieldset>
    </Panel>
  )
}

/** `X=a,b,c; targets=price`, as `--input` of rdm-fit has them. */
const columns: z.ZodType<InputColumns, string> = z.string().transform((text, context) => {
  const pairs = text.split(';').filter((pair) => pair.trim() !== '')
  const read = pairs.map((pair) =>
    /^([^=]+)=(.+)$/
      .exec(pair)
      ?.slice(1)
      .map((part) => part.trim()),
  )
  if (read.every((pair) => pair !== undefined)) return Object.fromEntries(read)
  context.addIssue('write INPUT=COLUMN, several with semicolons between; * is all columns that nothing else takes')
  return z.NEVER
})

interface HowProps {
  readonly settings: Signal<RunSettings>
  readonly isBusy: boolean
}

export function HowPanel({ settings, isBusy }: HowProps) {
  const gpu = useSignal(false)
  useEffect(() => {
    hasGpu().then((has) => {
      gpu.value = has
    })
  }, [])
  const network = model.inspection.value?.network
  if (!network) return null
  const { epochs, batchSize, augment, seed, provider, inputs } = settings.value
  const change = (changes: Partial<RunSettings>) => {
    settings.value = { ...settings.value, ...changes }
  }
  return (
    <Panel title="How">
      <fieldset disabled={isBusy} class="form" aria-label="how it is trained">
        <div class="pair">
          <WholeField
            label="Epochs"
            value={epochs}
            {...{ min: 1, max: 10_000 }}
            onChange={(next) => change({ epochs: next })}
          />
          {network.batch === undefined && (
            <WholeField
              label="Examples in a batch"
              value={batchSize}
              {...{ min: 1, max: 4096, by: 8 }}
              onChange={(next) => change({ batchSize: next })}
            />
          )}
        </div>
        {network.batch !== undefined && <p class="hint">This network takes {network.batch} examples at a time.</p>}
        {!network.image && (
          <TextField
            label="Columns of the data (--input)"
            hint="where names do not say what feeds what: X=*; targets=price"
            value={inputs}
            format={(value) =>
              Object.entries(value)
                .map((pair) => pair.join('='))
                .join('; ')
            }
            schema={columns}
            onChange={(next) => change({ inputs: next })}
          />
        )}
        {network.image && (
          <Check checked={augment} onChange={(on) => change({ augment: on })}>
            Augment: cut out and mirror images by chance
          </Check>
        )}
        <WholeField
          label="Seed"
          value={seed}
          {...{ min: 0, max: Number.MAX_SAFE_INTEGER }}
          onChange={(next) => change({ seed: next })}
        />
        {gpu.value && (
          <Choice
            label="Computes on"
            value={provider}
            choices={[
              ['wasm', 'processor'],
              ['webgpu', 'GPU'],
            ]}
            onChange={(next) => change({ provider: next })}
          />
        )}
      </fieldset>
    </Panel>
  )
}
