// What each residual function is worth: the error without it, beside that of the whole network.

import { BarChart } from 'echarts/charts'
import { GridComponent, TooltipComponent } from 'echarts/components'
import { use } from 'echarts/core'
import { useMemo } from 'preact/hooks'
import { axisStyleIn } from '../../driver/charts/style.js'
import { grouped } from '../../driver/format/table.js'
import { onPage } from '../../study/report/theme.js'
import { errorText } from '../train/charts.js'
import { Chart, tooltip } from '../ui/chart.js'
import { type Lesions, lesions } from './lesions.js'
import { subject } from './looking.js'
import { MeasuringPanel } from './measuringPanel.js'
import { NumbersTable } from './numbersTable.js'

use([BarChart, GridComponent, TooltipComponent])

const axis = axisStyleIn(onPage)

const isFull = (mask: string) => !mask.includes('0')

function chartOf({ error, alone }: Lesions) {
  const bars = [
    { name: 'the whole', error, colour: 'var(--quiet)' },
    ...alone.map(({ name, mask, error: without }) => ({
      name: `without ${name} (${mask})`,
      error: without,
      colour: isFull(mask) ? 'var(--curve-0)' : 'var(--curve-1)',
    })),
  ]
  return {
    grid: { left: 56, right: 12, top: 14, bottom: 30 },
    tooltip: {
      ...tooltip,
      trigger: 'axis',
      axisPointer: { type: 'shadow', shadowStyle: { color: 'var(--line)', opacity: 0.25 } },
      formatter: ([point]: readonly { readonly dataIndex: number }[]) => {
        const bar = bars[point!.dataIndex]!
        return `${bar.name}: ${errorText(bar.error)}`
      },
    },
    xAxis: {
      ...axis,
      type: 'category',
      data: ['whole', ...alone.map(({ name }) => name.replace(/stage(\d+)\.block(\d+)/, '$1.$2'))],
      axisTick: { show: false },
    },
    yAxis: {
      ...axis,
      type: 'value',
      axisLabel: { ...axis.axisLabel, formatter: (value: number) => `${Number((100 * value).toPrecision(3))} %` },
    },
    series: [
      {
        ...{ type: 'bar', barCategoryGap: '18%', emphasis: { disabled: true } },
        data: bars.map((bar) => ({ value: bar.error, itemStyle: { color: bar.colour } })),
      },
    ],
  }
}

export const LesionsPanel = () =>
  subject.value?.anatomy.architecture && (
    <MeasuringPanel
      title="What each residual function is worth"
      about="The test error with one residual function left out at a time, as rdm-paths lesion measures it on the test images of the data beside."
      of={lesions}
      button="Leave each out"
      counted="lesions"
      show={(found) => <Found found={found} />}
    />
  )

function Found({ found }: { readonly found: Lesions }) {
  const options = useMemo(() => chartOf(found), [found])
  const { images, error, alone } = found
  const worst = alone.reduce((a, b) => (b.error > a.error ? b : a))
  const said = `${errorText(error)} on ${grouped(images)} test images; without ${worst.name}, the most of all, ${errorText(worst.error)}`
  const kinds = new Set(alone.map(({ mask }) => isFull(mask)))
  return (
    <>
      <p role="status">Error of the whole network: {said}.</p>
      <Chart
        class="lesions"
        options={options}
        label={`Error without each residual function. Of the whole network: ${said}.`}
      />
      {kinds.size > 1 && (
        <p class="hint">
          <span class="swatch full" /> functions with all their ReLUs, <span class="swatch dropped" /> without some.
        </p>
      )}
      <NumbersTable
        titles={['without', 'ReLUs', 'error']}
        rows={alone.map(({ name, mask, error: without }) => [name, mask, errorText(without)])}
      />
    </>
  )
}
