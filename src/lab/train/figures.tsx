// A run in numbers: how far it is, how good, how fast.

import { grouped } from '../../driver/format/table.js'
import { errorText, lossText } from './charts.js'
import { type Numbers, timeText } from './curves.js'

const known = (value: number | undefined, text: (value: number) => string): string =>
  value === undefined ? '–' : text(value)

export function RunFigures({ numbers, isOver }: { readonly numbers: Numbers; readonly isOver: boolean }) {
  const { step, lastStep, epoch, epochs, loss, error, testError, imagesPerSecond, left } = numbers
  return (
    <>
      <progress max={lastStep} value={step} aria-label="steps done" />
      <dl class="figures">
        <Figure name="step" value={`${grouped(step)} of ${grouped(lastStep)}`} />
        <Figure name="epoch" value={`${epoch} of ${epochs}`} />
        <Figure name="loss" value={known(loss, lossText)} />
        <Figure name="training error" value={known(error, errorText)} />
        <Figure name="test error" value={known(testError, errorText)} />
        <Figure name="images a second" value={known(imagesPerSecond, (rate) => grouped(Math.round(rate)))} />
        <Figure name="time left" value={isOver ? '–' : known(left, timeText)} />
      </dl>
    </>
  )
}

const Figure = ({ name, value }: { readonly name: string; readonly value: string }) => (
  <div>
    <dt>{name}</dt>
    <dd>{value}</dd>
  </div>
)
