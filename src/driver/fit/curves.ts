// curves.svg: training and test error by epoch, or the loss of what is no classifier.
import { LineChart } from 'echarts/charts'
import { GridComponent, LegendComponent, MarkLineComponent, TitleComponent } from 'echarts/components'
import { use } from 'echarts/core'
import { axisStyle, colours, titleStyle } from '../charts/style.js'
import { svgOf } from '../charts/svg.js'
import type { EpochMetrics } from '../run/metrics.js'

use([LineChart, GridComponent, LegendComponent, MarkLineComponent, TitleComponent])

interface Quantity {
  readonly name: string
  readonly axis: string
  train(metrics: EpochMetrics): number
  test(metrics: EpochMetrics): number
  text(value: number): string
}

const percent = (fraction: number) => Math.round(fraction * 1e4) / 100
const error: Quantity = {
  name: 'error',
  axis: 'error (%)',
  train: (metrics) => percent(metrics.error ?? 0),
  test: (metrics) => percent(metrics.testError ?? 0),
  text: (value) => `${value} %`,
}
const loss: Quantity = {
  name: 'loss',
  axis: 'loss',
  train: (metrics) => metrics.loss,
  test: (metrics) => metrics.testLoss,
  text: (value) => value.toPrecision(4),
}

/** Epochs from which the learning rate is another than before. */
const rateChanges = (history: readonly EpochMetrics[]) =>
  history.filter(({ learningRate }, i) => i > 0 && learningRate !== history[i - 1]!.learningRate)

/** The chart as the text of an SVG file. The same history gives the same bytes. */
export function curvesSvg(history: readonly EpochMetrics[], name: string): string {
  const last = history.at(-1)
  // Epochs are counted from 1 on the axis: a point stands for what so many epochs of training led to.
  const points = (of: (metrics: EpochMetrics) => number) => history.map((metrics) => [metrics.epoch + 1, of(metrics)])
  const drawn = history.every((metrics) => metrics.error !== undefined) ? error : loss
  const [training, testing] = [`training ${drawn.name}`, `test ${drawn.name}`]
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
  return svgOf({
    title: {
      text: name,
      subtext: last
        ? `after ${last.epoch === 0 ? '1 epoch' : `${last.epoch + 1} epochs`}: ${training} ${drawn.text(drawn.train(last))}, ${testing} ${drawn.text(drawn.test(last))}`
        : '',
      ...titleStyle,
    },
    // Room for a viewer's wider font than the renderer reckons with.
    legend: {
      data: [training, testing],
      itemGap: 40,
      top: 66,
      textStyle: { fontSize: 13, color: colours.text },
    },
    grid: { left: 70, right: 40, top: 110, bottom: 60, containLabel: false },
    xAxis: {
      ...axisStyle,
      type: 'value',
      name: 'epoch',
      nameGap: 32,
      min: 0,
      max: Math.max(2, (last?.epoch ?? 0) + 1),
      minInterval: 1,
    },
    yAxis: { ...axisStyle, type: 'value', name: drawn.axis, nameGap: 44, min: 0 },
    series: [
      {
        ...series,
        name: training,
        data: points(drawn.train),
        lineStyle: { width: 2, color: colours.quiet },
        itemStyle: { color: colours.quiet },
      },
      {
        ...series,
        name: testing,
        data: points(drawn.test),
        lineStyle: { width: 2, color: colours.first },
        itemStyle: { color: colours.first },
        markLine: {
          symbol: 'none',
          silent: true,
          lineStyle: { type: 'dashed', color: colours.line, width: 1 },
          label: { formatter: '{b}', fontSize: 11, color: '#777777' },
          data: rateChanges(history).map(({ epoch, learningRate }) => ({
            // Where the epoch before it ends.
            xAxis: epoch,
            name: `lr ${learningRate}`,
          })),
        },
      },
    ],
  })
}
