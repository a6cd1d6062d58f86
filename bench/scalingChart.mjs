// scaling.svg: what an image costs in time and in memory, over the batch, the size of the images and the depth; ours and PyTorch's.

import { LineChart } from 'echarts/charts'
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components'
import { use } from 'echarts/core'
import { colours } from '../dist/src/driver/charts/style.js'
import { svgOf } from '../dist/src/driver/charts/svg.js'

use([LineChart, GridComponent, LegendComponent, TitleComponent])

const { text } = colours
const [width, height] = [1180, 700]
const [left, gap, top, panelWidth, panelHeight] = [70, 86, 110, 295, 200]

/** Sweep → title and the name of its axis. */
const sweeps = {
  batch: ['Images in a batch (n = 3, 32 × 32)', 'images in a batch'],
  size: ['Size of the images (n = 3, 16 images)', 'pixels a side'],
  n: ['Depth (128 images of 32 × 32)', 'n, blocks of each stage'],
}

/** Name, of whom, colour; the better layout of PyTorch counts. */
const lines = [
  ['ours', 'ours', '#c1272d'],
  ['PyTorch, the better layout', 'torch', '#5b7a9d'],
]
const least = (results, prefix, value) => {
  const known = results.filter(({ name, median }) => median !== undefined && name.startsWith(prefix)).map(value)
  return known.length > 0 ? Math.min(...known) : undefined
}

/** Rows of panels: what is drawn of a point's results. */
const rows = [
  ['ms an image', ({ results, batch }, prefix) => least(results, prefix, ({ median }) => median / batch)],
  ['peak memory, MiB', ({ results }, prefix) => least(results, prefix, ({ peakBytes }) => peakBytes / 2 ** 20)],
]

const threadsOf = (count) => `${count} ${count === 1 ? 'thread' : 'threads'}`

function panel(points, sweep, column, [yName, value], row) {
  const [title, xName] = sweeps[sweep]
  const chosen = points.filter((point) => point.sweep === sweep)
  const [x, y] = [left + column * (panelWidth + gap), top + row * (panelHeight + 90)]
  const places = [...new Set(chosen.map((point) => point[sweep]))].sort((a, b) => a - b)
  const counts = [...new Set(points.map(({ threads }) => threads))].sort((a, b) => b - a)
  const axis = {
    type: 'log',
    nameLocation: 'middle',
    nameTextStyle: { fontSize: 12, color: text },
    axisLabel: { fontSize: 11, color: text },
    axisLine: { show: true, lineStyle: { color: text } },
    splitLine: { lineStyle: { color: '#eeeeee' } },
  }
  return {
    grid: { left: x, top: y, width: panelWidth, height: panelHeight, containLabel: false },
    title: { text: row === 0 ? title : '', left: x, top: y - 28, padding: 0, textStyle: { fontSize: 13, color: text } },
    xAxis: {
      ...axis,
      min: places[0],
      max: places.at(-1),
      name: xName,
      nameGap: 26,
      axisLabel: { ...axis.axisLabel, customValues: places },
      axisTick: { customValues: places },
      splitLine: { show: false },
    },
    yAxis: { ...axis, name: yName, nameGap: 44 },
    series: counts.flatMap((count, i) =>
      lines.map(([name, prefix, color]) => ({
        name: `${name}, ${threadsOf(count)}`,
        type: 'line',
        silent: true,
        symbolSize: 6,
        itemStyle: { color },
        lineStyle: { color, width: 2, type: i === 0 ? 'solid' : 'dashed' },
        data: chosen
          .filter(({ threads }) => threads === count)
          .map((point) => [point[sweep], value(point, prefix)])
          .filter(([, at]) => at !== undefined)
          .sort(([a], [b]) => a - b),
      })),
    ),
  }
}

/** The chart as the text of an SVG file. */
export function scalingSvg(points, machine) {
  const panels = rows.flatMap((row, r) => Object.keys(sweeps).map((sweep, c) => panel(points, sweep, c, row, r)))
  const names = [
    ...new Set(panels.flatMap(({ series }) => series.filter(({ data }) => data.length > 0).map(({ name }) => name))),
  ]
  return svgOf(
    {
      title: [
        {
          text: 'A training step of RDM-ResNets: what an image costs',
          left: 'center',
          top: 10,
          textStyle: { fontSize: 16, color: text },
        },
        {
          text: machine,
          left: 'center',
          top: height - 22,
          textStyle: { fontSize: 11, fontWeight: 'normal', color: text },
        },
        ...panels.map(({ title }) => title),
      ],
      legend: { data: names, itemGap: 30, top: 40, textStyle: { fontSize: 12, color: text } },
      grid: panels.map(({ grid }) => grid),
      xAxis: panels.map(({ xAxis }, gridIndex) => ({ ...xAxis, gridIndex })),
      yAxis: panels.map(({ yAxis }, gridIndex) => ({ ...yAxis, gridIndex })),
      series: panels.flatMap(({ series }, i) => series.map((one) => ({ ...one, xAxisIndex: i, yAxisIndex: i }))),
    },
    { width, height },
  )
}
