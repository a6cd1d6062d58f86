// What the trained network says: of some test images, and of the whole test set.

import { useEffect, useRef } from 'preact/hooks'
import { Panel } from '../ui/fields.js'
import { errorText } from './charts.js'
import { classNames, evaluation, predictions, samples } from './training.js'

/** Some test images, each with what the network of the moment takes it for. */
export function Pictures() {
  const shown = samples.value
  if (!shown) return null
  const said = predictions.value
  const right = said.filter(({ label }, i) => label === shown.labels[i]).length
  return (
    <Panel title="A look at the test set">
      <p class="hint" aria-live="polite">
        {said.length === 0
          ? 'Below each is its class; while the network trains, what it predicts comes here.'
          : `${right} of ${said.length} are classified right.`}
      </p>
      <ul class="pictures">
        {shown.labels.map((label, i) => {
          const prediction = said[i]
          const isRight = prediction?.label === label
          const name = classNames.value[label] ?? `${label}`
          const taken = prediction && (classNames.value[prediction.label] ?? `${prediction.label}`)
          return (
            <li key={i} class={prediction ? (isRight ? 'right' : 'wrong') : ''}>
              <Picture
                pixels={shown.pixels.subarray(3 * shown.size ** 2 * i, 3 * shown.size ** 2 * (i + 1))}
                size={shown.size}
                label={name}
              />
              <span class="said">{taken ?? name}</span>
              {prediction && (
                <>
                  <span class="true">{isRight ? '✓' : `not ${name}`}</span>
                  <meter min={0} max={1} value={prediction.probability} aria-label={`probability of ${taken}`} />
                </>
              )}
            </li>
          )
        })}
      </ul>
    </Panel>
  )
}

interface PictureProps {
  /** Bytes, [3, size, size]. */
  readonly pixels: Uint8Array
  readonly size: number
  readonly label: string
}

export function Picture({ pixels, size, label }: PictureProps) {
  const place = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    const context = place.current!.getContext('2d')!
    const image = context.createImageData(size, size)
    const plane = size * size
    for (let at = 0; at < plane; at++) {
      for (let channel = 0; channel < 3; channel++) image.data[4 * at + channel] = pixels[channel * plane + at]!
      image.data[4 * at + 3] = 255
    }
    context.putImageData(image, 0, 0)
  }, [pixels.buffer, pixels.byteOffset, size])
  return <canvas ref={place} width={size} height={size} role="img" aria-label={label} />
}

/** What images of each class were taken for. */
export function Confusion() {
  const found = evaluation.value
  if (!found?.confusion) return null
  const rows = found.confusion
  const names = classNames.value
  const most = rows.map((row) =>
    Math.max(
      1,
      row.reduce((a, b) => a + b),
    ),
  )
  const { error } = found.scores
  return (
    <Panel title="What was taken for what">
      <p>
        {error !== undefined && (
          <>
            Error on the test set: <strong>{errorText(error)}</strong>.{' '}
          </>
        )}
        A row for each class, a column for what its images were taken for.
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard */}
      <section class="wide" tabIndex={0} aria-label="confusion matrix">
        <table class="confusion">
          <thead>
            <tr>
              <th scope="col">
                <span class="unseen">class</span>
              </th>
              {names.map((name) => (
                <th key={name} scope="col">
                  <span>{name}</span>
                </th>
              ))}
              <th scope="col">error</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row, i) => (
              <tr key={names[i]}>
                <th scope="row">{names[i]}</th>
                {row.map((count, j) => (
                  <td
                    key={names[j]}
                    class={i === j ? 'right' : count > 0 ? 'wrong' : ''}
                    style={{ '--share': `${Math.round((100 * count) / most[i]!)}%` }}
                  >
                    {count}
                  </td>
                ))}
                <td class="error">{errorText(1 - row[i]! / most[i]!)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </Panel>
  )
}
