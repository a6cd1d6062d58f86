// table.svg: how long a step of each peer takes, in steps of ours; a row a network, on a scale of factors.

import { ScatterChart } from 'echarts/charts'
import { GridComponent, LegendComponent, MarkLineComponent, TitleComponent } from 'echarts/components'
import { use } from 'echarts/core'
import { colours } from '../dist/src/driver/charts/style.js'
import { svgOf } from '../dist/src/driver/charts/svg.js'
import { oursBy } from './contestants.mjs'

use([ScatterChart, GridComponent, LegendComponent, MarkLineComponent, TitleComponent])

const { text } = colours
const [width, left, right, top, rowHeight, bottom] = [980, 250, 40, 112, 44, 56]

/** Who is drawn, of those whose names begin so the fastest: name, colour, shape. */
const peers = [
  ['PyTorch, the better layout', 'torch', '#c1272d', 'circle'],
  ['onnxruntime-training 1.19', 'ort-training', '#5b7a9d', 'diamond'],
  ['OpenVINO on our step', 'OpenVINO', '#5f8f5a', 'triangle'],
  ['onnxsim', 'onnxsim', '#a8762c', 'rect'],
  ['our portable step', oursBy('portable'), '#aaaaaa', 'emptyCircle'],
  ['TensorFlow.js, in a page', 'page: tfjs', '#7b5ea7', 'arrow'],
  ['jax-js, in a page', 'page: jax-js', '#2b8a8a', 'roundRect'],
]

const timed = (results, prefix) =>
  results.flatMap(({ name, median }) => (median !== undefined && name.startsWith(prefix) ? [median] : []))

/** Peer → times as long as the fastest of ours that runs where it does. */
function factorsOf({ results }) {
  return peers.map(([, prefix]) => {
    const ours = Math.min(...timed(results, prefix.startsWith('page: ') ? 'page: ours' : oursBy('')))
    return Math.min(...timed(results, prefix)) / ours
  })
}

const written = (factor) => (factor < 10 ? factor.toFixed(2) : factor.toFixed(0))

/** The chart as the text of an SVG file. */
export function tableSvg(measured, machine) {
  const rows = measured.map((subject) => ({ name: subject.name, batch: subject.batch, factors: factorsOf(subject) }))
  const height = top + rows.length * rowHeight + bottom
  const series = peers.flatMap(([name, prefix, color, symbol], at) => {
    const points = rows.flatMap(({ factors }, row) => {
      const factor = factors[at]
      // Clear of the line at ours.
      return Number.isFinite(factor) ? [{ value: [factor, row], label: { position: factor < 1 ? 'left' : 'top' } }] : []
    })
    if (points.length === 0) return []
    const label = {
      // The others are compared with our fastest; this one only shows what its own target gains.
      show: prefix !== oursBy('portable'),
      position: 'top',
      distance: 4,
      fontSize: 11,
      color,
      formatter: ({ value }) => written(value[0]),
    }
    return [{ name, type: 'scatter', symbol, symbolSize: 11, itemStyle: { color }, label, data: points, silent: true }]
  })
  const ones = {
    silent: true,
    symbol: 'none',
    lineStyle: { color: text, type: 'solid', width: 1.5 },
    label: { show: false },
    data: [{ xAxis: 1 }],
  }
  return svgOf(
    {
      title: [
        {
          text: 'How long a training step of others takes, in steps of ours',
          left: 'center',
          top: 10,
          textStyle: { fontSize: 16, color: text },
        },
        {
          text: machine,
          left: 'center',
          top: height - 20,
          textStyle: { fontSize: 11, fontWeight: 'normal', color: text },
        },
      ],
      legend: {
        top: 38,
        left: 'center',
        width: width - 60,
        itemGap: 22,
        itemWidth: 16,
        textStyle: { fontSize: 12, color: text },
        data: series.map(({ name }) => name),
      },
      grid: { left, right, top, bottom },
      xAxis: {
        type: 'log',
        // PyTorch's best is twice as fast at most so far; a scale that begins at a tenth would be empty there.
        min: 0.3,
        axisLabel: { fontSize: 12, color: text, formatter: (value) => (value === 1 ? 'ours' : `${value} ×`) },
        minorSplitLine: { show: true, lineStyle: { color: '#f4f4f4' } },
        splitLine: { lineStyle: { color: '#dddddd' } },
      },
      yAxis: {
        type: 'category',
        inverse: true,
        data: rows.map(({ name, batch }) => `${name}, batch ${batch}`),
        axisTick: { show: false },
        axisLabel: { fontSize: 12, color: text, width: left - 20, overflow: 'break' },
        splitLine: { show: true, lineStyle: { color: '#eeeeee' } },
      },
      series: series.map((one, i) => (i === 0 ? { ...one, markLine: ones } : one)),
    },
    { width, height },
  )
}
