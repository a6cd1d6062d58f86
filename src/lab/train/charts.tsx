// The curves of a run, as they grow.

import { LineChart } from 'echarts/charts'
import { GridComponent, LegendComponent, TooltipComponent } from 'echarts/components'
import { use } from 'echarts/core'
import { useMemo } from 'preact/hooks'
import { axisStyleIn } from '../../driver/charts/style.js'
import { onPage } from '../../study/report/theme.js'
import { Chart, tooltip } from '../ui/chart.js'
import { type Curves, type Point, thinned } from './curves.js'

use([LineChart, GridComponent, LegendComponent, TooltipComponent])

const axis = axisStyleIn(onPage)
/** Points of a curve that are drawn. */
const MOST = 400

interface Line {
  readonly name: string
  readonly points: readonly Point[]
  readonly colour: string
  /** Of epochs, each of which is a point. */
  readonly marked: boolean
}

/** @param text of a value, and of one at the axis */
const chartOf = (
  lines: readonly Line[],
  epochs: number,
  text: (value: number) => string,
  short: (value: number) => string,
) => ({
  grid: { left: 52, right: 14, top: 34, bottom: 40 },
  legend: {
    ...{ top: 0, left: 0, itemWidth: 18, itemHeight: 8, selectedMode: false },
    textStyle: { color: 'var(--text)', fontSize: 12 },
  },
  tooltip: {
    ...tooltip,
    trigger: 'axis',
    axisPointer: { lineStyle: { color: 'var(--line)' } },
    valueFormatter: (value: number) => text(value),
  },
  xAxis: {
    ...axis,
    type: 'value',
    ...{ min: 0, max: epochs, name: 'epochs', nameGap: 24, splitLine: { show: false } },
    axisPointer: { label: { formatter: ({ value }: { value: number }) => `epoch ${value.toFixed(2)}` } },
  },
  yAxis: { ...axis, type: 'value', axisLabel: { ...axis.axisLabel, formatter: short }, scale: true },
  series: lines.map(({ name, points, colour, marked }) => ({
    ...{ type: 'line', name, data: thinned(points, MOST), symbolSize: 7, showSymbol: marked },
    ...{ emphasis: { disabled: true }, itemStyle: { color: colour }, symbol: 'circle' },
    lineStyle: { color: colour, width: marked ? 2.2 : 1.3 },
  })),
})

const last = (points: readonly Point[], text: (value: number) => string) => {
  const point = points.at(-1)
  return point ? text(point[1]) : 'none yet'
}

export const errorText = (error: number): string => `${(100 * error).toFixed(1)} %`
export const lossText = (loss: number): string => loss.toFixed(3)

interface RunChartsProps {
  readonly curves: Curves
  readonly epochs: number
  /** Changes when the curves have. */
  readonly at: number
}

export function RunCharts({ curves, epochs, at }: RunChartsProps) {
  const { batchLoss, testLoss, trainError, testError } = curves
  const [loss, error] = useMemo(
    () => [
      chartOf(
        [
          { name: 'loss of a batch', points: batchLoss, colour: 'var(--quiet)', marked: false },
          { name: 'test', points: testLoss, colour: 'var(--curve-0)', marked: true },
        ],
        epochs,
        lossText,
        (value) => String(Number(value.toFixed(3))),
      ),
      chartOf(
        [
          { name: 'training error', points: trainError, colour: 'var(--curve-1)', marked: true },
          { name: 'test', points: testError, colour: 'var(--curve-0)', marked: true },
        ],
        epochs,
        errorText,
        (value) => `${Number((100 * value).toFixed(1))} %`,
      ),
    ],
    [curves, epochs, at],
  )
  return (
    <div class="curves">
      <Chart
        options={loss}
        label={`Loss by epoch. Of the last batch: ${last(batchLoss, lossText)}; on the test set: ${last(testLoss, lossText)}.`}
      />
      <Chart
        options={error}
        label={`Error by epoch. On training images: ${last(trainError, errorText)}; on the test set: ${last(testError, errorText)}.`}
      />
    </div>
  )
}
