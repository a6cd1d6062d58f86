// What is brought, and what it is trained on.

import { useSignal } from '@preact/signals'
import { messageOf, UserError } from '../../core/errors.js'
import { patternNames } from '../../driver/data/synth.js'
import { chosenFiles, type PageFile, readDataset } from '../../web/files.js'
import { Drop, FileButton } from '../ui/drop.js'
import { Check, Choice, Panel, WholeField } from '../ui/fields.js'
import { CameraData } from './camera.js'
import { aboutData, broughtFrom, drawnOf } from './data.js'
import { knownNames, makeExample, others, usual } from './example.js'
import * as model from './model.js'
import { forget, tuned } from './run.js'

/** The one model among files that were given. */
export function modelAmong(files: readonly PageFile[]): PageFile {
  const found = files.find(({ path }) => path.toLowerCase().endsWith('.onnx')) ?? files[0]
  if (!found) throw new UserError('no file was dropped; expected an .onnx file')
  return found
}

async function take(files: Promise<readonly PageFile[]>): Promise<void> {
  try {
    const { path, content } = modelAmong(await files)
    forget()
    await model.bringFile(path.slice(path.lastIndexOf('/') + 1), content)
  } catch (error) {
    model.problem.value = messageOf(error)
  }
}

export function ModelPanel({ isBusy }: { readonly isBusy: boolean }) {
  const example = useSignal(usual)
  const file = model.file.value
  return (
    <Panel title="The model">
      <fieldset disabled={isBusy} class="form" aria-label="the model">
        <Drop onFiles={(files) => void (isBusy || take(files))}>
          <p>Drop an .onnx file here, or choose it:</p>
          <div class="row">
            <FileButton
              label="A model"
              multiple={false}
              accept=".onnx"
              onFiles={(list) => void take(Promise.resolve(chosenFiles(list)))}
            />
            {tuned.value && (
              <button
                type="button"
                onClick={() => {
                  const { name, model: bytes } = tuned.value!
                  forget()
                  model.bring({ name, bytes }, { ownStep: false })
                }}
              >
                What was tuned last
              </button>
            )}
          </div>
          <p class="hint">Of PyTorch, Keras, scikit-learn, PaddlePaddle, of this page: any.</p>
        </Drop>
        {!file && (
          <>
            <p class="hint">
              None at hand? This page makes a small one: it learns to tell {knownNames.slice(0, -1).join(', ')} and{' '}
              {knownNames.at(-1)} apart, and is then there to be tuned for other classes.
            </p>
            <div class="pair">
              <WholeField
                label="Images"
                value={example.value.images}
                {...{ min: 12, max: 20_000, by: 600 }}
                onChange={(images) => {
                  example.value = { ...example.value, images }
                }}
              />
              <WholeField
                label="Epochs"
                value={example.value.epochs}
                {...{ min: 1, max: 100 }}
                onChange={(epochs) => {
                  example.value = { ...example.value, epochs }
                }}
              />
            </div>
            <div class="row">
              <button type="button" onClick={() => void makeExample(example.value)}>
                Make a small pretrained example
              </button>
            </div>
          </>
        )}
      </fieldset>
      {model.isReading.value && (
        <p class="row" role="status">
          Looks at it …
          <button type="button" onClick={() => model.giveUp()}>
            Give it up
          </button>
        </p>
      )}
      <p class="problem" role="alert" hidden={model.problem.value === undefined}>
        {model.problem.value}
      </p>
    </Panel>
  )
}

export function DataPanel({ isBusy }: { readonly isBusy: boolean }) {
  const { source } = model
  const drawing = useSignal({ classes: others, train: 240, test: 120, seed: 2 })
  const problem = useSignal<string | undefined>(undefined)
  const isReading = useSignal(false)
  const read = async (found: Promise<readonly PageFile[]>) => {
    problem.value = undefined
    isReading.value = true
    try {
      model.data.value = broughtFrom(await readDataset(await found))
    } catch (error) {
      model.data.value = undefined
      problem.value = messageOf(error)
    } finally {
      isReading.value = false
    }
  }
  const draw = () => {
    problem.value = undefined
    try {
      model.data.value = broughtFrom(drawnOf(drawing.value))
    } catch (error) {
      model.data.value = undefined
      problem.value = messageOf(error)
    }
  }
  const change = (changes: Partial<typeof drawing.value>) => {
    drawing.value = { ...drawing.value, ...changes }
  }
  const { classes, train, test } = drawing.value
  return (
    <Panel title="What it is trained on">
      <fieldset disabled={isBusy} class="form" aria-label="what it is trained on">
        <Choice<model.Source>
          label="Where it comes from"
          value={source.value}
          choices={[
            ['files', 'your files'],
            ['camera', 'the camera'],
            ['drawn', 'drawn here'],
          ]}
          onChange={(next) => {
            source.value = next
            problem.value = undefined
          }}
        />
        {source.value === 'files' && (
          <Drop onFiles={(found) => void read(found)}>
            <p>Drop a folder of photos here, a folder in it for each class, or choose it:</p>
            <div class="row">
              <FileButton label="A folder" folder onFiles={(list) => void read(Promise.resolve(chosenFiles(list)))} />
              <FileButton label="Files" onFiles={(list) => void read(Promise.resolve(chosenFiles(list)))} />
            </div>
            <p class="hint">Or a table (CSV), NumPy’s npz, safetensors, CIFAR’s or MNIST’s files.</p>
          </Drop>
        )}
        {source.value === 'camera' && <CameraData onPictures={(files) => void read(Promise.resolve(files))} />}
        {source.value === 'drawn' && (
          <>
            <div class="patterns">
              {patternNames.map((name, place) => (
                <Check
                  key={name}
                  checked={classes.includes(place)}
                  onChange={(on) =>
                    change({
                      classes: patternNames.map((_, i) => i).filter((i) => (i === place ? on : classes.includes(i))),
                    })
                  }
                >
                  {name}
                </Check>
              ))}
            </div>
            <div class="pair">
              <WholeField
                label="Training images"
                value={train}
                {...{ min: 2, max: 20_000, by: 100 }}
                onChange={(next) => change({ train: next })}
              />
              <WholeField
                label="Test images"
                value={test}
                {...{ min: 2, max: 5000, by: 100 }}
                onChange={(next) => change({ test: next })}
              />
            </div>
            <div class="row">
              <button type="button" onClick={draw}>
                Draw them
              </button>
            </div>
          </>
        )}
      </fieldset>
      <p role="status" class="wrapped">
        {isReading.value ? 'Reading …' : model.data.value && aboutData(model.data.value)}
      </p>
      <p class="problem" role="alert" hidden={problem.value === undefined}>
        {problem.value}
      </p>
    </Panel>
  )
}
