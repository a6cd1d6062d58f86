// curves.svg: training and test error by epoch.
import { LineChart } from 'echarts/charts'
import { GridComponent, LegendComponent, MarkLineComponent, TitleComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'
import type { EpochMetrics } from './metrics.js'

use([LineChart, GridComponent, LegendComponent, MarkLineComponent, TitleComponent, SVGRenderer])

// Without quotation marks: the renderer does not escape them in attributes.
const font = 'Helvetica, Arial, Liberation Sans, sans-serif'
const colours = { training: '#8a9ab0', test: '#c1272d', rate: '#b9b9b9', text: '#333333' }

const percent = (fraction: number) => Math.round(fraction * 1e4) / 100

/** Epochs from which the learning rate is another than before. */
const rateChanges = (history: readonly EpochMetrics[]) =>
  history.filter(({ learningRate }, i) => i > 0 && learningRate !== history[i - 1]!.learningRate)

/** The chart as the text of an SVG file. The same history gives the same bytes. */
export function curvesSvg(history: readonly EpochMetrics[], name: string): string {
  const last = history.at(-1)
  // Epochs are counted from 1 on the axis: a point stands for what so many epochs of training led to.
  const points = (key: 'error' | 'testError') => history.map((metrics) => [metrics.epoch + 1, percent(metrics[key])])
  const axis = {
    nameLocation: 'middle' as const,
    nameTextStyle: { fontSize: 14, color: colours.text },
    axisLabel: { fontSize: 12, color: colours.text },
    axisLine: { show: true, lineStyle: { color: colours.text } },
    splitLine: { lineStyle: { color: '#eeeeee' } },
  }
  const series = {
    type: 'line' as const,
    symbol: 'circle',
    symbolSize: 5,
    // A picture, nothing to point at.
    silent: true,
    emphasis: { disabled: true },
    // A line through a single point would not be seen.
    showSymbol: history.length <= 30,
  }
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 800, height: 500 })
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      textStyle: { fontFamily: font },
      title: {
        text: name,
        subtext: last
          ? `after ${last.epoch === 0 ? '1 epoch' : `${last.epoch + 1} epochs`}: training error ${percent(last.error)} %, test error ${percent(last.testError)} %`
          : '',
        left: 'center',
        top: 10,
        textStyle: { fontSize: 16, color: colours.text },
        subtextStyle: { fontSize: 13, color: colours.text },
      },
      // Room for a viewer's wider font than the renderer reckons with.
      legend: {
        data: ['training error', 'test error'],
        itemGap: 40,
        top: 66,
        textStyle: { fontSize: 13, color: colours.text },
      },
      grid: { left: 70, right: 40, top: 110, bottom: 60, containLabel: false },
      xAxis: {
        ...axis,
        type: 'value',
        name: 'epoch',
        nameGap: 32,
        min: 0,
        max: Math.max(2, (last?.epoch ?? 0) + 1),
        minInterval: 1,
      },
      yAxis: { ...axis, type: 'value', name: 'error (%)', nameGap: 44, min: 0 },
      series: [
        {
          ...series,
          name: 'training error',
          data: points('error'),
          lineStyle: { width: 2, color: colours.training },
          itemStyle: { color: colours.training },
        },
        {
          ...series,
          name: 'test error',
          data: points('testError'),
          lineStyle: { width: 2, color: colours.test },
          itemStyle: { color: colours.test },
          markLine: {
            symbol: 'none',
            silent: true,
            lineStyle: { type: 'dashed', color: colours.rate, width: 1 },
            label: { formatter: '{b}', fontSize: 11, color: '#777777' },
            data: rateChanges(history).map(({ epoch, learningRate }) => ({
              xAxis: epoch + 1,
              name: `lr ${learningRate}`,
            })),
          },
        },
      ],
    })
    return withStableNames(chart.renderToSVGString())
  } finally {
    chart.dispose()
  }
}

/** The renderer numbers its class names and ids on through all charts of a process: count them anew for each. */
function withStableNames(svg: string): string {
  const names = new Map<string, string>()
  return svg.replace(/\bzr\d+-[a-z]+-?\d+\b/g, (name) => {
    const stable = names.get(name) ?? `n${names.size}`
    names.set(name, stable)
    return stable
  })
}
