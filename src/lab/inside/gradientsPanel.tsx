// Veit's two pictures of a trained network: the gradient along one path of each length, and along all of them together.

import { CustomChart, LineChart } from 'echarts/charts'
import { GridComponent, LegendComponent, MarkAreaComponent, TooltipComponent } from 'echarts/components'
import { use } from 'echarts/core'
import { useMemo } from 'preact/hooks'
import { axisStyleIn } from '../../driver/charts/style.js'
import { grouped, rounded } from '../../driver/format/table.js'
import { errorBars } from '../../study/paths/panels.js'
import { onPage } from '../../study/report/theme.js'
import { percent } from '../design/lengths.js'
import { Chart, tooltip } from '../ui/chart.js'
import { WholeField } from '../ui/fields.js'
import { type Gradients, pathGradients, samples } from './gradients.js'
import { subject } from './looking.js'
import { MeasuringPanel } from './measuringPanel.js'
import { NumbersTable } from './numbersTable.js'
import { numberText } from './tiles.js'

use([CustomChart, LineChart, GridComponent, LegendComponent, MarkAreaComponent, TooltipComponent])

const axis = axisStyleIn(onPage)
const [OF_GRADIENT, OF_PATHS] = ['of the gradient', 'of the paths']

/** A share of the paths: their counts are beyond what a number holds. */
const partOf = (paths: bigint, all: bigint) => Number((paths * 10n ** 12n) / all) / 1e12

const line = (name: string, points: readonly (readonly number[])[], colour: string) => ({
  ...{ type: 'line', name, data: points, symbol: 'circle', symbolSize: 6, showSymbol: points.length <= 60 },
  ...{ emphasis: { disabled: true }, itemStyle: { color: colour }, lineStyle: { color: colour, width: 2 } },
})

const commonOf = (longest: number) => ({
  grid: { left: 58, right: 14, top: 34, bottom: 44 },
  tooltip: { ...tooltip, trigger: 'axis', axisPointer: { lineStyle: { color: 'var(--line)' } } },
  xAxis: {
    ...axis,
    ...{ type: 'value', name: 'layers of a path', nameGap: 28, min: 0, max: longest, minInterval: 1 },
    axisPointer: { label: { formatter: ({ value }: { value: number }) => `${value} layers` } },
  },
  legend: {
    ...{ top: 0, left: 0, itemWidth: 18, itemHeight: 8, selectedMode: false },
    textStyle: { color: 'var(--text)', fontSize: 12 },
  },
})

/** The mean norm of the gradient along one path, with two standard errors to either side. */
function alongOne({ lengths }: Gradients) {
  // No gradient at all has no place on a logarithmic axis.
  const seen = lengths.filter(({ gradient }) => gradient > 0)
  const bars = seen.map(({ layers, gradient, standardError }) => {
    const reach = 2 * (standardError ?? 0)
    return [layers, Math.max(gradient - reach, gradient / 10), gradient + reach]
  })
  const name = 'gradient along one path'
  const common = commonOf(lengths.at(-1)!.layers)
  return {
    ...common,
    tooltip: { ...common.tooltip, valueFormatter: numberText },
    legend: { ...common.legend, data: [name] },
    yAxis: {
      ...axis,
      type: 'log',
      axisLabel: { ...axis.axisLabel, formatter: (value: number) => value.toExponential(0).replace('e+', 'e') },
    },
    series: [
      line(
        name,
        seen.map(({ layers, gradient }) => [layers, gradient]),
        'var(--curve-0)',
      ),
      { ...errorBars(bars, 'var(--curve-0)'), tooltip: { show: false } },
    ],
  }
}

/** What all paths of a length carry together, beside how many they are. */
function together({ lengths, layersPerFunction, multiplicity, range }: Gradients) {
  const longest = lengths.at(-1)!.layers
  const common = commonOf(longest)
  // Half a function to either side: a range of one length is seen, too.
  const shade = [
    { xAxis: Math.max(0, range.from - layersPerFunction / 2) },
    { xAxis: Math.min(longest, range.to + layersPerFunction / 2) },
  ]
  return {
    ...common,
    tooltip: { ...common.tooltip, valueFormatter: percent },
    yAxis: {
      ...axis,
      type: 'value',
      min: 0,
      axisLabel: { ...axis.axisLabel, formatter: (value: number) => `${Number((100 * value).toPrecision(3))} %` },
    },
    series: [
      {
        ...line(
          OF_GRADIENT,
          lengths.map(({ layers, share }) => [layers, share]),
          'var(--curve-0)',
        ),
        markArea: { silent: true, itemStyle: { color: 'var(--accent)', opacity: 0.1 }, data: [shade] },
      },
      line(
        OF_PATHS,
        lengths.map(({ layers, paths }) => [layers, partOf(paths, multiplicity)]),
        'var(--curve-1)',
      ),
    ],
  }
}

const SamplesField = ({ isRunning }: { readonly isRunning: boolean }) => (
  <WholeField
    label="Samples of each length"
    value={samples.value}
    {...{ min: 1, max: 100_000, by: 100 }}
    disabled={isRunning}
    onChange={(next) => {
      samples.value = next
    }}
  />
)

export const GradientsPanel = () =>
  subject.value?.anatomy.architecture && (
    <MeasuringPanel
      title="How much gradient its paths carry"
      about="The norm of the gradient of an image's loss at its pixels, backward along one path at a time, as rdm-paths measure finds it: random paths of each length with random images of the data beside, or all of them where there are no more."
      of={pathGradients}
      button="Measure the paths"
      counted="paths"
      fields={(isRunning) => <SamplesField isRunning={isRunning} />}
      show={(found) => <Found found={found} />}
    />
  )

function Found({ found }: { readonly found: Gradients }) {
  const [one, all] = useMemo(() => [alongOne(found), together(found)], [found])
  const { lengths, range, multiplicity, images } = found
  const span = range.from === range.to ? `${range.from}` : `${range.from} to ${range.to}`
  const said = `paths of ${span} layers carry ${percent(range.share)} of it`
  const [shortest, longest] = [lengths[0]!, lengths.at(-1)!]
  return (
    <>
      <p role="status">
        The gradient on {grouped(images)} test images: {said}.
      </p>
      <div class="curves">
        <Chart
          options={one}
          label={
            `Gradient along one path by its layers: ${numberText(shortest.gradient)} along one of none, ` +
            `${numberText(longest.gradient)} along one of ${longest.layers}.`
          }
        />
        <Chart options={all} label={`Share of the gradient and of the paths by layers: ${said}.`} />
      </div>
      <NumbersTable
        titles={['layers', 'paths', 'of all', 'samples', 'gradient along one', 'of the gradient']}
        rows={lengths.map(({ layers, paths, samples: taken, complete, gradient, standardError, share }) => [
          layers,
          rounded(paths, 12),
          percent(partOf(paths, multiplicity)),
          complete ? `all ${grouped(taken)}` : grouped(taken),
          numberText(gradient) + (complete || standardError === null ? '' : ` ± ${numberText(standardError)}`),
          percent(share),
        ])}
      />
    </>
  )
}
