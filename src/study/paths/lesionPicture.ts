// Pictures of a network without some of its functions: the error by how many are removed, and what each costs alone.
import { CustomChart, LineChart, ScatterChart } from 'echarts/charts'
import { GridComponent, LegendComponent, MarkLineComponent, TitleComponent } from 'echarts/components'
import { use } from 'echarts/core'
import { colours, titleStyle } from '../../driver/charts/style.js'
import { svgOf } from '../../driver/charts/svg.js'
import { errorBars, panelAxes, panelSize, panels, still } from './panels.js'

use([LineChart, ScatterChart, CustomChart, GridComponent, LegendComponent, MarkLineComponent, TitleComponent])

export interface LesionPicture {
  readonly name: string
  readonly images: number
  readonly functions: readonly string[]
  /** Of the whole network; all errors are parts of 1. */
  readonly error: number
  readonly removed: readonly {
    readonly count: number
    readonly mean: number
    readonly min: number
    readonly max: number
  }[]
  /** Block by block. */
  readonly alone: readonly { readonly mask: string; readonly error: number }[]
}

const percent = (part: number) => Math.round(part * 1e4) / 100

export function lesionSvg({ name, images, functions, error, removed, alone }: LesionPicture): string {
  const blocks = alone.length / functions.length
  const names = { full: 'a full function', dropped: 'a ReLU-dropped function' }
  const points = (dropped: boolean) =>
    alone.flatMap((lesion, i) => {
      if (lesion.mask.includes('0') !== dropped) return []
      return [[Math.floor(i / functions.length), percent(lesion.error)]]
    })
  const numbers = Array.from({ length: blocks }, (_, i) => `${i + 1}`)
  const x = { nameGap: 32 }
  const whole = {
    symbol: 'none',
    silent: true,
    lineStyle: { type: 'dashed', color: colours.quiet, width: 1 },
    label: { formatter: 'whole network', position: 'insideEndBottom', fontSize: 11, color: '#777777' },
    data: [{ yAxis: percent(error) }],
  }
  const scatter = { ...still, type: 'scatter', xAxisIndex: 1, yAxisIndex: 1, symbolSize: 9 }
  return svgOf(
    {
      title: {
        ...titleStyle,
        text: `${name}: error without some of its functions`,
        subtext: `${images.toLocaleString('en-US')} images; bars from the least to the most of the choices that were tried`,
      },
      legend: {
        right: 70,
        top: 66,
        itemGap: 40,
        itemWidth: 16,
        textStyle: { fontSize: 13, color: colours.text },
        data: Object.values(names).filter((_, i) => points(i === 1).length > 0),
      },
      grid: panels,
      ...panelAxes([
        {
          x: {
            ...x,
            type: 'value',
            name: 'functions removed',
            min: 0,
            max: Math.max(...removed.map(({ count }) => count)),
            minInterval: 1,
          },
          y: { type: 'value', name: 'error (%)', nameGap: 44, min: 0 },
        },
        {
          x: { ...x, type: 'category', name: 'block of the one function removed', data: numbers },
          y: { type: 'value', name: 'error (%)', nameGap: 44, scale: true },
        },
      ]),
      series: [
        {
          ...still,
          type: 'line',
          symbol: 'circle',
          symbolSize: 6,
          data: [[0, percent(error)], ...removed.map(({ count, mean }) => [count, percent(mean)])],
          lineStyle: { width: 2, color: colours.first },
          itemStyle: { color: colours.first },
          markLine: whole,
        },
        errorBars(
          removed.map(({ count, min, max }) => [count, percent(min), percent(max)]),
          colours.first,
        ),
        {
          ...scatter,
          name: names.full,
          data: points(false),
          // Beside each other: the two may be at the same place.
          symbolOffset: [-5, 0],
          itemStyle: { color: colours.first, opacity: 1 },
          markLine: whole,
        },
        {
          ...scatter,
          name: names.dropped,
          data: points(true),
          symbolOffset: [5, 0],
          itemStyle: { color: colours.second, opacity: 1 },
        },
      ],
    },
    panelSize,
  )
}
