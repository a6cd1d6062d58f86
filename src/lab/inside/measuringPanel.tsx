// A panel with a long measurement: how many images, its button, how far it is, and what came of it.

import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { Panel, WholeField } from '../ui/fields.js'
import type { Measurement } from './measurement.js'

interface MeasuringPanelProps<T> {
  readonly title: string
  readonly about: string
  readonly of: Measurement<T>
  /** What begins it. */
  readonly button: string
  /** What is counted while it goes on. */
  readonly counted: string
  /** More fields. */
  readonly fields?: (isRunning: boolean) => ComponentChildren
  readonly show: (found: T) => ComponentChildren
}

export function MeasuringPanel<T>({ title, about, of, button, counted, fields, show }: MeasuringPanelProps<T>) {
  const count = useSignal(200)
  const [found, at] = [of.found.value, of.progress.value]
  return (
    <Panel title={title}>
      <p class="hint">{about}</p>
      <div class="row">
        <WholeField
          label="Test images, at most"
          value={count.value}
          {...{ min: 1, max: 10_000, by: 100 }}
          disabled={at !== undefined}
          onChange={(next) => {
            count.value = next
          }}
        />
        {fields?.(at !== undefined)}
        {at ? (
          <button type="button" onClick={of.stop}>
            Stop
          </button>
        ) : (
          <button type="button" class="main" onClick={() => void of.measure(count.value)}>
            {button}
          </button>
        )}
      </div>
      {at && <progress max={at.total} value={at.done} aria-label={`${counted} measured`} />}
      <p class="problem" role="alert" hidden={of.problem.value === undefined}>
        {of.problem.value}
      </p>
      {found && show(found)}
    </Panel>
  )
}
