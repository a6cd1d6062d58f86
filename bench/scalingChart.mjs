// scaling.svg: step time and memory over the batch and over n, with the fitted lines.

import { LineChart } from 'echarts/charts'
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'

use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer])

// Without quotation marks: the renderer does not escape them in attributes.
const font = 'Helvetica, Arial, Liberation Sans, sans-serif'
const text = '#333333'
const colours = ['#c1272d', '#5b7a9d', '#5f8f5a', '#a8762c']
const [width, height] = [980, 740]
const [left, gap, top, panelWidth, panelHeight] = [72, 110, 118, 370, 230]

const gib = (bytes) => bytes / 2 ** 30
const short = (value) => (value < 10 ? value.toFixed(2) : value.toFixed(1))
const threadsOf = (count) => `${count} ${count === 1 ? 'thread' : 'threads'}`
const signed = (value, digits) => `${value < 0 ? '−' : '+'} ${Math.abs(value).toFixed(digits)}`

/** One panel: its lines, each with points and a fitted line, over x. */
function panel({ place: [column, row], title, xName, yName, lines }) {
  const [x, y] = [left + column * (panelWidth + gap), top + row * (panelHeight + 100)]
  const ticks = lines[0].points.map(([at]) => at)
  const axis = {
    type: 'value',
    min: 0,
    nameLocation: 'middle',
    nameTextStyle: { fontSize: 13, color: text },
    axisLabel: { fontSize: 12, color: text },
    axisLine: { show: true, lineStyle: { color: text } },
    splitLine: { lineStyle: { color: '#eeeeee' } },
  }
  const through = ({ fixed, each }) => [0, ticks.at(-1)].map((at) => [at, fixed + each * at])
  return {
    grid: { left: x, top: y, width: panelWidth, height: panelHeight, containLabel: false },
    title: { text: title, left: x, top: y - 34, padding: 0, textStyle: { fontSize: 13, color: text } },
    xAxis: {
      ...axis,
      max: ticks.at(-1),
      name: xName,
      nameGap: 30,
      axisLabel: { ...axis.axisLabel, customValues: ticks },
      axisTick: { customValues: ticks },
      splitLine: { show: false },
    },
    yAxis: { ...axis, name: yName, nameGap: 46 },
    series: lines.flatMap(({ name, colour, points, fit, below }) => {
      const series = { name, type: 'line', silent: true, itemStyle: { color: colour } }
      // Lines rise to the right: a number left above its point, or right below it, stays clear of its own.
      const place = below ? { position: 'right', offset: [-2, 11] } : { position: 'top', offset: [-7, 0] }
      const label = { show: true, ...place, fontSize: 11, color: colour, formatter: ({ value }) => short(value[1]) }
      return [
        { ...series, symbol: 'none', lineStyle: { width: 1.5, color: colour }, data: through(fit) },
        { ...series, symbol: 'circle', symbolSize: 7, lineStyle: { width: 0 }, label, data: points },
      ]
    }),
  }
}

/** The chart as the text of an SVG file. */
export function scalingSvg({ stages, results, fits: { images, blocks } }) {
  const { n, threads } = images
  const { batch } = blocks[0]
  const batches = results.filter((result) => result.n === n && result.threads === threads)
  const sorted = (points) => [...points].sort(([a], [b]) => a - b)
  const scaled = ({ fixed, each }, factor) => ({ fixed: fixed * factor, each: each * factor })
  const colourOf = (count) => colours[blocks.findIndex((fit) => fit.threads === count) % colours.length]
  const overBatch = (value, fit) => ({
    name: threadsOf(threads),
    colour: colourOf(threads),
    points: sorted(batches.map((result) => [result.batch, value(result)])),
    fit,
  })
  const overN = (value, fitOf) =>
    blocks.map((fit, i) => ({
      name: threadsOf(fit.threads),
      colour: colourOf(fit.threads),
      points: sorted(results.filter((r) => r.batch === batch && r.threads === fit.threads).map((r) => [r.n, value(r)])),
      fit: fitOf(fit),
      below: i > 0,
    }))
  const seconds = ({ median }) => median / 1000
  const memory = ({ peakBytes }) => gib(peakBytes)
  const perN = (fit) => ({ ...fit, each: fit.each * stages })
  const panels = [
    panel({
      place: [0, 0],
      title: `n = ${n}, ${threadsOf(threads)}: ${images.ms.fixed.toFixed(0)} ms ${signed(images.ms.each, 2)} ms an image`,
      xName: 'images in a batch',
      yName: 'seconds a step',
      lines: [overBatch(seconds, scaled(images.ms, 1 / 1000))],
    }),
    panel({
      place: [1, 0],
      title: `batch ${batch}: ${blocks.map((fit) => ((1000 * fit.ms.each) / batch).toFixed(0)).join(' and ')} µs an image and block`,
      xName: 'n, blocks of each stage',
      yName: 'seconds a step',
      lines: overN(seconds, (fit) => perN(scaled(fit.ms, 1 / 1000))),
    }),
    panel({
      place: [0, 1],
      title: `n = ${n}, ${threadsOf(threads)}: ${(gib(images.bytes.fixed) * 1024).toFixed(0)} MiB ${signed(gib(images.bytes.each) * 1024, 2)} MiB an image`,
      xName: 'images in a batch',
      yName: 'peak memory, GiB',
      lines: [overBatch(memory, scaled(images.bytes, 2 ** -30))],
    }),
    panel({
      place: [1, 1],
      title: `batch ${batch}: ${blocks.map((fit) => (gib(fit.bytes.each) * 1024).toFixed(1)).join(' and ')} MiB a block`,
      xName: 'n, blocks of each stage',
      yName: 'peak memory, GiB',
      lines: overN(memory, (fit) => perN(scaled(fit.bytes, 2 ** -30))),
    }),
  ]
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height })
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      textStyle: { fontFamily: font },
      title: [
        {
          text: 'A training step of RDM-ResNets, by batch, depth and threads',
          left: 'center',
          top: 10,
          textStyle: { fontSize: 16, color: text },
        },
        ...panels.map(({ title }) => title),
      ],
      legend: {
        data: blocks.map((fit) => threadsOf(fit.threads)),
        itemGap: 40,
        top: 40,
        textStyle: { fontSize: 13, color: text },
      },
      grid: panels.map(({ grid }) => grid),
      xAxis: panels.map(({ xAxis }, gridIndex) => ({ ...xAxis, gridIndex })),
      yAxis: panels.map(({ yAxis }, gridIndex) => ({ ...yAxis, gridIndex })),
      series: panels.flatMap(({ series }, i) => series.map((one) => ({ ...one, xAxisIndex: i, yAxisIndex: i }))),
    })
    return chart.renderToSVGString()
  } finally {
    chart.dispose()
  }
}
