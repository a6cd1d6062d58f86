// The tab Look inside: what a trained network has learned to look for, and what it makes of an image.

import { useSignal } from '@preact/signals'
import { useMemo } from 'preact/hooks'
import { messageOf } from '../../core/errors.js'
import { grouped } from '../../driver/format/table.js'
import { chosenFiles, type PageFile, readDataset } from '../../web/files.js'
import { type BroughtData, broughtFrom } from '../bring/data.js'
import { modelAmong } from '../bring/form.js'
import { bytesOf } from '../bring/model.js'
import { tuned } from '../bring/run.js'
import { Drop, FileButton } from '../ui/drop.js'
import { Panel, Select } from '../ui/fields.js'
import { GradientsPanel } from './gradientsPanel.js'
import { Canvas, Grid } from './grid.js'
import { LesionsPanel } from './lesionsPanel.js'
import * as looking from './looking.js'
import { filterTiles, imageTile, MOST, mapTiles, numberText, rangeOf } from './tiles.js'

export const InsideTab = () => (
  <div class="columns inside">
    <div class="form">
      <SubjectPanel />
      <ImagePanel />
    </div>
    <div class="results">
      <FiltersPanel />
      <ActivationsPanel />
      <LesionsPanel />
      <GradientsPanel />
    </div>
  </div>
)

async function takeModel(files: Promise<readonly PageFile[]>): Promise<void> {
  try {
    const { path, content } = modelAmong(await files)
    const name = path.slice(path.lastIndexOf('/') + 1)
    await looking.look(name, () => bytesOf(name, content))
  } catch (error) {
    looking.problem.value = messageOf(error)
  }
}

function SubjectPanel() {
  const found = looking.subject.value
  const own = tuned.value
  return (
    <Panel title="The network">
      <Drop onFiles={(files) => void takeModel(files)}>
        <p>Drop an .onnx file here, or choose it:</p>
        <div class="row">
          <FileButton
            label="A model"
            multiple={false}
            accept=".onnx"
            onFiles={(list) => void takeModel(Promise.resolve(chosenFiles(list)))}
          />
          <button type="button" onClick={() => void looking.lookAtTrained()}>
            What the tab Train trained
          </button>
          {own && (
            <button type="button" onClick={() => void looking.lookAtTuned(own)}>
              What was tuned last
            </button>
          )}
        </div>
      </Drop>
      <p role="status" class="wrapped">
        {looking.isReading.value && 'Looks at it …'}
        {found && `${found.name}: ${sizesOf(found.anatomy.image)}; ${found.anatomy.layers.length} layers to look at.`}
      </p>
      {found?.anatomy.normalize !== undefined && (
        <p class="hint">It takes floats: pixels are normalized for it by {found.anatomy.normalize}.</p>
      )}
      <p class="problem" role="alert" hidden={looking.problem.value === undefined}>
        {looking.problem.value}
      </p>
    </Panel>
  )
}

const sizesOf = ({ channels, height, width }: looking.Subject['anatomy']['image']) =>
  `images of ${width}×${height}, ${channels === 1 ? 'grey' : 'in colour'}`

const aboutTest = ({ dataset: { test, heldOut }, classes }: BroughtData) =>
  `${grouped(test.count)} test images${heldOut === undefined ? '' : ' (held out)'}` +
  (classes ? `, of ${classes.length} classes.` : '.')

function ImagePanel() {
  const problem = useSignal<string | undefined>(undefined)
  const found = looking.subject.value
  if (!found) return null
  const { image } = found.anatomy
  const shown = looking.images.value
  const read = async (files: Promise<readonly PageFile[]>) => {
    problem.value = undefined
    try {
      const next = broughtFrom(await readDataset(await files))
      looking.missing.value = undefined
      await looking.takeImages(next)
    } catch (error) {
      problem.value = messageOf(error)
    }
  }
  const takePicture = async (files: Promise<readonly PageFile[]>) => {
    const [first] = await files
    if (first) await looking.takePicture(first.path, first.content)
  }
  return (
    <Panel title="What it sees">
      <Drop onFiles={(files) => void takePicture(files)}>
        <p>Drop a picture here, or choose it, or a data set:</p>
        <div class="row">
          <FileButton
            label="A picture"
            multiple={false}
            accept="image/*"
            onFiles={(list) => void takePicture(Promise.resolve(chosenFiles(list)))}
          />
          <FileButton label="A folder" folder onFiles={(list) => void read(Promise.resolve(chosenFiles(list)))} />
          <FileButton label="Files" onFiles={(list) => void read(Promise.resolve(chosenFiles(list)))} />
        </div>
      </Drop>
      {looking.missing.value !== undefined && (
        <p class="wrapped">
          It was trained on <strong>{looking.missing.value}</strong>: choose it again, for images of its own.
        </p>
      )}
      <p class="wrapped hint">{aboutTest(looking.data.value)}</p>
      {shown && (
        <ul class="tiles seen" aria-label="test images">
          {Array.from({ length: Math.min(shown.count, looking.SHOWN) }, (_, place) => {
            const picture = looking.pictureOf(shown, place, image)
            return (
              <li key={place}>
                <button
                  type="button"
                  aria-pressed={picture.name === looking.picture.value?.name}
                  onClick={() => void looking.see(picture)}
                >
                  <Canvas tile={imageTile(picture.pixels, image.height, image.width, picture.name)} />
                </button>
              </li>
            )
          })}
        </ul>
      )}
      <p class="problem" role="alert" hidden={problem.value === undefined}>
        {problem.value}
      </p>
    </Panel>
  )
}

/** `64 of 512` where not all are shown. */
const shownOf = (count: number) => (count > MOST ? `${MOST} of ${count}` : `${count}`)

function FiltersPanel() {
  const found = looking.subject.value
  const filters = found?.anatomy.filters
  const tiles = useMemo(() => (filters ? filterTiles(filters) : []), [filters])
  if (!found) return null
  if (!filters)
    return (
      <Panel title="Filters of the first layer">
        <p class="hint">There are none to show: no convolution has its weights in the file.</p>
      </Panel>
    )
  const [count, channels, height, width] = filters.shape
  const what =
    channels === 3
      ? `${shownOf(count)} filters of ${width}×${height}, red, green and blue.`
      : `${shownOf(count * channels)} planes of ${width}×${height}, of ${count} filters.`
  return (
    <Panel title="Filters of the first layer">
      <p>
        <strong class="wrapped">{filters.name}</strong>: {what}
      </p>
      <Grid tiles={tiles} label="filters of the first layer" />
      <p class="hint">Grey in the middle is 0; brighter is positive, darker negative, on one scale for all.</p>
    </Panel>
  )
}

function ActivationsPanel() {
  const [found, seen, picture] = [looking.subject.value, looking.activations.value, looking.picture.value]
  const [tiles, range] = useMemo(
    () => (seen ? ([mapTiles(seen), rangeOf(seen.data)] as const) : [[], undefined]),
    [seen],
  )
  if (!found) return null
  const { image, layers } = found.anatomy
  if (layers.length === 0)
    return (
      <Panel title="What a layer makes of it">
        <p class="hint">The network has no convolution and no activation that gives maps.</p>
      </Panel>
    )
  return (
    <Panel title="What a layer makes of it">
      <Select
        label="Layer"
        value={String(looking.layer.value)}
        choices={layers.map(({ name, operator, shape: [channels, height, width] }, i) => [
          String(i),
          `${name} (${operator}, ${channels} × ${width}×${height})`,
        ])}
        onChange={(next) => picture && void looking.see(picture, Number(next))}
      />
      {picture && (
        <div class="row">
          <Grid
            class="seen"
            tiles={[imageTile(picture.pixels, image.height, image.width, picture.name)]}
            label="what it sees"
          />
          <span class="wrapped">{picture.name}</span>
        </div>
      )}
      {seen && range && (
        <>
          <p role="status">
            {shownOf(seen.shape[0])} channels, from {numberText(range.least)} (black) to {numberText(range.most)}{' '}
            (white).
          </p>
          <Grid tiles={tiles} label="activations" />
        </>
      )}
      <p class="problem" role="alert" hidden={looking.pictureProblem.value === undefined}>
        {looking.pictureProblem.value}
      </p>
    </Panel>
  )
}
