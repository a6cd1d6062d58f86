// Veit's two pictures of a trained network: the gradient along paths of each length, and what all paths of a length carry
// together, beside how many paths there are.
import { CustomChart, LineChart } from 'echarts/charts'
import { GridComponent, LegendComponent, MarkAreaComponent, TitleComponent } from 'echarts/components'
import { use } from 'echarts/core'
import { axisStyle, colours, titleStyle } from '../../driver/charts/style.js'
import { svgOf } from '../../driver/charts/svg.js'
import { errorBars, panelAxes, panelSize, panels, still } from './panels.js'

use([LineChart, CustomChart, GridComponent, LegendComponent, MarkAreaComponent, TitleComponent])

export interface GradientPicture {
  readonly name: string
  readonly multiplicity: bigint
  readonly lengths: readonly {
    readonly layers: number
    readonly paths: bigint
    /** Mean norm along one path. */
    readonly gradient: number
    readonly standardError: number | null
    /** Of the gradient of all paths. */
    readonly share: number
  }[]
  readonly range: { readonly from: number; readonly to: number; readonly share: number }
}

const percent = (share: number) => Math.round(share * 1e4) / 100

export function gradientSvg({ name, multiplicity, lengths, range }: GradientPicture): string {
  const longest = lengths.at(-1)!.layers
  const step = longest / (lengths.length - 1)
  // No gradient at all has no place on a logarithmic axis.
  const seen = lengths.filter(({ gradient }) => gradient > 0)
  const line = { ...still, type: 'line', symbol: 'circle', symbolSize: 6, showSymbol: lengths.length <= 60 }
  const names = { gradient: 'gradient · paths', paths: 'paths' }
  const x = { ...axisStyle, type: 'value', name: 'layers on a path', nameGap: 32, min: 0, max: longest, minInterval: 1 }
  return svgOf(
    {
      title: {
        ...titleStyle,
        text: `${name}: gradient along paths`,
        subtext: `paths of ${range.from} to ${range.to} layers (shaded) carry ${percent(range.share)} % of it`,
      },
      legend: {
        right: 150,
        top: 66,
        itemGap: 40,
        itemWidth: 16,
        textStyle: { fontSize: 13, color: colours.text },
        data: [names.gradient, names.paths],
      },
      grid: panels,
      ...panelAxes([
        {
          x,
          y: { type: 'log', name: 'gradient along one path (norm)', nameGap: 54, axisLabel: { formatter: powers } },
        },
        { x, y: { type: 'value', name: '% of all', nameGap: 40, min: 0 } },
      ]),
      series: [
        {
          ...line,
          data: seen.map(({ layers, gradient }) => [layers, gradient]),
          lineStyle: { width: 1.5, color: colours.first },
          itemStyle: { color: colours.first },
        },
        errorBars(
          // Two standard errors; what reaches below 0 ends at a tenth of the mean, far below the axis's next power.
          seen.map(({ layers, gradient, standardError }) => {
            const reach = 2 * (standardError ?? 0)
            return [layers, Math.max(gradient - reach, gradient / 10), gradient + reach]
          }),
          colours.first,
        ),
        {
          ...line,
          name: names.gradient,
          xAxisIndex: 1,
          yAxisIndex: 1,
          data: lengths.map(({ layers, share }) => [layers, 100 * share]),
          lineStyle: { width: 2, color: colours.first },
          itemStyle: { color: colours.first },
          markArea: {
            silent: true,
            itemStyle: { color: colours.first, opacity: 0.12 },
            // Half a function to either side: a range of one length is seen, too.
            data: [[{ xAxis: Math.max(0, range.from - step / 2) }, { xAxis: Math.min(longest, range.to + step / 2) }]],
          },
        },
        {
          ...line,
          name: names.paths,
          xAxisIndex: 1,
          yAxisIndex: 1,
          data: lengths.map(({ layers, paths }) => [layers, Number((paths * 10n ** 9n) / multiplicity) / 1e7]),
          lineStyle: { width: 1.5, color: colours.second },
          itemStyle: { color: colours.second },
        },
      ],
    },
    panelSize,
  )
}

/** 0.001 → 1e-3 */
const powers = (value: number) => value.toExponential(0).replace('e+', 'e')
