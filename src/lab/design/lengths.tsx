// How long the paths through the network are, with the range that counts as effective.

import { BarChart } from 'echarts/charts'
import { GridComponent, MarkAreaComponent, TooltipComponent } from 'echarts/components'
import { use } from 'echarts/core'
import { useMemo } from 'preact/hooks'
import { axisStyleIn } from '../../driver/charts/style.js'
import type { LayerRange } from '../../study/paths/lengths.js'
import { onPage } from '../../study/report/theme.js'
import { range } from '../address.js'
import { Chart, tooltip } from '../ui/chart.js'
import { Panel, WholeField } from '../ui/fields.js'
import type { Facts, PathLength } from './facts.js'

use([BarChart, GridComponent, MarkAreaComponent, TooltipComponent])

export const percent = (share: number): string => {
  const value = 100 * share
  return `${value >= 10 ? value.toFixed(1) : value >= 0.01 || value === 0 ? value.toFixed(2) : value.toExponential(1)} %`
}

const axis = axisStyleIn(onPage)

function chartOf(lengths: readonly PathLength[], { from, to }: LayerRange) {
  const isIn = ({ layers }: PathLength) => layers >= from && layers <= to
  const first = lengths.findIndex(isIn)
  const last = lengths.findLastIndex(isIn)
  const shade = [{ xAxis: first }, { xAxis: last }]
  return {
    grid: { left: 56, right: 12, top: 14, bottom: 44 },
    tooltip: {
      ...tooltip,
      trigger: 'axis',
      axisPointer: { type: 'shadow', shadowStyle: { color: 'var(--line)', opacity: 0.25 } },
      formatter: ([point]: readonly { readonly dataIndex: number }[]) => {
        const { layers, paths, share } = lengths[point!.dataIndex]!
        return `${layers} layers: ${paths} path${paths === '1' ? '' : 's'}, ${percent(share)}`
      },
    },
    xAxis: {
      ...axis,
      type: 'category',
      data: lengths.map(({ layers }) => layers),
      name: 'layers of a path',
      nameGap: 28,
      axisTick: { show: false },
    },
    yAxis: {
      ...axis,
      type: 'value',
      axisLabel: { ...axis.axisLabel, formatter: (value: number) => `${Number((100 * value).toPrecision(3))} %` },
    },
    series: [
      {
        type: 'bar',
        barCategoryGap: '18%',
        emphasis: { disabled: true },
        data: lengths.map((each) => ({
          value: each.share,
          itemStyle: { color: isIn(each) ? 'var(--accent)' : 'var(--bar)' },
        })),
        markArea:
          first === -1
            ? undefined
            : { silent: true, itemStyle: { color: 'var(--accent)', opacity: 0.1 }, data: [shade] },
      },
    ],
  }
}

export function LengthsPanel({ facts }: { readonly facts: Facts }) {
  const { lengths, meanLayers, effective } = facts
  const { from, to } = range.value
  const options = useMemo(() => chartOf(lengths, { from, to }), [lengths, from, to])
  const longest = lengths.at(-1)!.layers
  const label =
    `Paths by length, 0 to ${longest} layers, ${meanLayers.toFixed(1)} on average: ` +
    `${percent(effective.share)} of them have ${from} to ${to} layers.`
  return (
    <Panel title="How long its paths are">
      <p>
        On average a path goes through <strong>{meanLayers.toFixed(1)}</strong> of {longest} layers.{' '}
        <strong>{effective.paths}</strong> paths, {percent(effective.share)} of all, lie in the effective range.
      </p>
      <Chart class="lengths" options={options} label={label} />
      <div class="pair narrow">
        <WholeField
          label="Effective from"
          value={from}
          {...{ min: 0, max: to }}
          onChange={(next) => {
            range.value = { from: next, to }
          }}
        />
        <WholeField
          label="to, in layers"
          value={to}
          {...{ min: from, max: 99_999 }}
          onChange={(next) => {
            range.value = { from, to: next }
          }}
        />
      </div>
      <p class="hint">
        10 to 34 is where Veit et al. 2016 measured most of the gradient, in a network of 110 layers. The first and the
        last layer of the network do not count.
      </p>
    </Panel>
  )
}
