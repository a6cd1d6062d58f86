// What is trained, on what, and how: the fields of the tab Train.

import { type Signal, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { z } from 'zod'
import { messageOf } from '../../core/errors.js'
import { scheduleText } from '../../core/training/schedule.js'
import { grouped } from '../../driver/format/table.js'
import { chosenFiles, type PageFile, readDataset } from '../../web/files.js'
import { design, setDesign, tab } from '../address.js'
import { architectureOf, designFrom } from '../design/design.js'
import { Drop, FileButton } from '../ui/drop.js'
import { Check, Choice, Panel, TextField, WholeField } from '../ui/fields.js'
import { type Data, dataFrom, drawn, fittedTo, misfitOf, type Source } from './data.js'
import { type Settings, show } from './training.js'
import { hasGpu } from './trial.js'

interface FormProps {
  readonly data: Signal<Data | undefined>
  readonly settings: Signal<Settings>
  readonly isBusy: boolean
}

export const TrainForm = ({ data, settings, isBusy }: FormProps) => (
  <fieldset class="form" disabled={isBusy} aria-label="what is trained, and how">
    <DataPanel data={data} />
    <NetworkPanel data={data.value} />
    <SettingsPanel settings={settings} />
  </fieldset>
)

const firstDrawn: Extract<Source, { kind: 'drawn' }> = { kind: 'drawn', train: 2000, test: 500, classes: 10, seed: 1 }

function DataPanel({ data }: Pick<FormProps, 'data'>) {
  const kind = useSignal<Source['kind']>('drawn')
  const wanted = useSignal(firstDrawn)
  const problem = useSignal<string | undefined>(undefined)
  const isReading = useSignal(false)
  const take = (next: Data) => {
    data.value = next
    void show(next, next.size ?? design.value.imageSize)
  }
  useEffect(() => {
    if (kind.value !== 'drawn') return
    data.value = undefined
    const timer = setTimeout(() => take(drawn(wanted.value)), 200)
    return () => clearTimeout(timer)
  }, [kind.value, wanted.value])
  const read = async (found: () => Promise<readonly PageFile[]> | readonly PageFile[]) => {
    problem.value = undefined
    isReading.value = true
    try {
      const files = await found()
      const name = files[0]?.path.split('/')[0] ?? ''
      const next = dataFrom(await readDataset(files), { kind: 'files', name })
      take(next)
      // Who chooses files means to train on them.
      setDesign(fittedTo(design.value, next))
    } catch (error) {
      data.value = undefined
      problem.value = messageOf(error)
    } finally {
      isReading.value = false
    }
  }
  const draw = (changes: Partial<typeof firstDrawn>) => {
    wanted.value = { ...wanted.value, ...changes }
  }
  return (
    <Panel title="Data set">
      <Choice
        label="Where it comes from"
        value={kind.value}
        choices={[
          ['drawn', 'drawn here'],
          ['files', 'your files'],
        ]}
        onChange={(next) => {
          kind.value = next
          data.value = undefined
        }}
      />
      {kind.value === 'drawn' ? (
        <>
          <p class="hint">Ten patterns, of many colours, sizes and places: for trying things out.</p>
          <div class="pair">
            <WholeField
              label="Training images"
              value={wanted.value.train}
              {...{ min: 2, max: 20_000, by: 500 }}
              onChange={(train) => draw({ train })}
            />
            <WholeField
              label="Test images"
              value={wanted.value.test}
              {...{ min: 1, max: 20_000, by: 100 }}
              onChange={(test) => draw({ test })}
            />
          </div>
        </>
      ) : (
        <Drop onFiles={(found) => void read(() => found)}>
          <p>Drop a folder or files here, or choose them:</p>
          <div class="row">
            <FileButton label="A folder" folder onFiles={(list) => void read(() => chosenFiles(list))} />
            <FileButton label="Files" onFiles={(list) => void read(() => chosenFiles(list))} />
          </div>
          <p class="hint">
            CIFAR’s binary files, MNIST’s, NumPy’s npz, safetensors, or images in a folder for each class.
          </p>
        </Drop>
      )}
      <p role="status">
        {isReading.value || (kind.value === 'drawn' && !data.value) ? 'Reading …' : data.value && aboutData(data.value)}
      </p>
      <p class="problem" role="alert" hidden={problem.value === undefined}>
        {problem.value}
      </p>
    </Panel>
  )
}

function aboutData({ dataset: { train, test, heldOut }, classes, size }: Data): string {
  const sizes = size === undefined ? '' : ` of ${size}×${size}`
  const held = heldOut === undefined ? '' : ' (held out)'
  return `${grouped(train.count)} images${sizes} to train on, ${grouped(test.count)} to test${held}, ${classes.length} classes.`
}

/** Of eight layers, and a quarter of a minute an epoch. */
const small = 'depth=8&functions=11,01&widths=8,16,32'

function NetworkPanel({ data }: { readonly data: Data | undefined }) {
  const { classes, imageSize, pixels } = design.value
  let name = 'no network'
  try {
    name = architectureOf(design.value).name
  } catch {
    // The tab Design says what is wrong with it.
  }
  const misfit = data && misfitOf(design.value, data)
  return (
    <Panel title="Network">
      <p class="wrapped">
        <strong>{name}</strong>, {classes} classes, {imageSize}×{imageSize}
      </p>
      <div class="row">
        <button
          type="button"
          onClick={() => {
            tab.value = 'design'
          }}
        >
          Change it
        </button>
        <button type="button" onClick={() => setDesign({ ...designFrom(small), classes, imageSize, pixels })}>
          A small one to try
        </button>
      </div>
      {data && misfit !== undefined && (
        <>
          <p class="problem" role="alert">
            {misfit}
          </p>
          <button type="button" onClick={() => setDesign(fittedTo(design.value, data))}>
            Fit the design to the data
          </button>
        </>
      )}
      <p class="hint">Loss and optimizer are those of the tab Export.</p>
    </Panel>
  )
}

const rate: z.ZodType<string, string> = z.string().transform((text, context) => {
  const trimmed = text.replaceAll(/\s/g, '')
  const read = scheduleText.safeParse(trimmed)
  if (read.success) return trimmed
  context.addIssue(read.error.issues[0]!.message)
  return z.NEVER
})

function SettingsPanel({ settings }: Pick<FormProps, 'settings'>) {
  const gpu = useSignal<boolean | undefined>(undefined)
  useEffect(() => {
    hasGpu().then((has) => {
      gpu.value = has
    })
  }, [])
  const { epochs, batchSize, rate: written, augment, seed, provider } = settings.value
  const change = (changes: Partial<Settings>) => {
    settings.value = { ...settings.value, ...changes }
  }
  const all = [
    ['fastest', 'the faster'],
    ['wasm', 'processor'],
    ['webgpu', 'GPU'],
  ] as const
  return (
    <Panel title="How">
      <div class="pair">
        <WholeField
          label="Epochs"
          value={epochs}
          {...{ min: 1, max: 10_000 }}
          onChange={(next) => change({ epochs: next })}
        />
        <WholeField
          label="Images in a batch"
          value={batchSize}
          {...{ min: 2, max: 4096, by: 10 }}
          onChange={(next) => change({ batchSize: next })}
        />
      </div>
      <TextField
        label="Learning rate"
        hint="one rate, epoch:rate pairs, one-cycle:max=0.1 or cosine:max=0.1,warmup=1"
        value={written}
        format={(value) => value}
        schema={rate}
        onChange={(next) => change({ rate: next })}
      />
      <WholeField
        label="Seed of order and augmentation"
        value={seed}
        {...{ min: 0, max: Number.MAX_SAFE_INTEGER }}
        onChange={(next) => change({ seed: next })}
      />
      <Check checked={augment} onChange={(on) => change({ augment: on })}>
        Augment: shift and mirror images
      </Check>
      {gpu.value ? (
        <Choice label="Computes on" value={provider} choices={all} onChange={(next) => change({ provider: next })} />
      ) : (
        <p class="hint">
          {gpu.value === false && 'This browser offers no GPU (WebGPU): the processor computes, by WebAssembly.'}
        </p>
      )}
      {!globalThis.crossOriginIsolated && (
        <p class="hint">
          WebAssembly has one thread here: whoever serves this page does not send the headers that isolate it. The file
          _headers beside it names them.
        </p>
      )}
    </Panel>
  )
}
