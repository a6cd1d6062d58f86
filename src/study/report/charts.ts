// The charts of a report, for files, for the page as it is printed, and for the page's script: one description for all.

import { CustomChart, LineChart } from 'echarts/charts'
import { GridComponent, MarkLineComponent } from 'echarts/components'
import { type EChartsCoreOption, use } from 'echarts/core'
import { axisStyleIn, type Theme } from '../../driver/charts/style.js'

use([LineChart, CustomChart, GridComponent, MarkLineComponent])

/** What the page's script knows of a model: errors in per cent, epochs from 1. */
export interface ModelCurves {
  readonly name: string
  /** That each run is to have. */
  readonly epochs: number
  /** Mean test error by epoch; the standard deviation is null for a single run. */
  readonly mean: readonly (readonly [mean: number, std: number | null, runs: number])[]
  readonly runs: readonly RunCurves[]
}

/** A value an epoch. */
export interface RunCurves {
  readonly seed: number
  readonly error: readonly number[]
  readonly testError: readonly number[]
  readonly loss: readonly number[]
  readonly testLoss: readonly number[]
  readonly learningRate: readonly number[]
}

export const scales = ['linear', 'log'] as const
export type Scale = (typeof scales)[number]
export const quantities = ['error', 'loss'] as const
export type Quantity = (typeof quantities)[number]

// Room for the names of axes in place of what the renderer would have to measure.
const grid = { left: 58, right: 16, top: 12, bottom: 48, containLabel: false }
const smallGrid = { left: 38, right: 8, top: 8, bottom: 22, containLabel: false }

/** As many curves have colours of their own; those after them are dashed. */
export const lineOf = (index: number, { curves }: Theme) => ({
  color: curves[index % curves.length]!,
  type: (['solid', 'dashed', 'dotted'] as const)[Math.floor(index / curves.length) % 3]!,
})

/** Points far enough apart to be seen one by one. */
const few = 30

const line = (data: readonly (readonly number[])[], color: string) => ({
  type: 'line',
  symbol: 'circle',
  symbolSize: 5,
  // A line through a single point would not be seen.
  showSymbol: data.length <= few,
  emphasis: { disabled: true },
  data,
  itemStyle: { color },
})

export interface MeansOptions {
  readonly scale: Scale
  readonly theme: Theme
  /** Indices of models that are not drawn. */
  readonly hidden?: ReadonlySet<number>
}

/** Figure 2: mean test error by epoch, with a band of a standard deviation to either side. */
export function meansChart(models: readonly ModelCurves[], { scale, theme, hidden }: MeansOptions): EChartsCoreOption {
  const shown = models.flatMap((model, i) => (hidden?.has(i) ? [] : [{ model, ...lineOf(i, theme) }]))
  const vertical = scale === 'log' ? logarithmic(shown.map(({ model }) => model)) : linear
  return {
    grid,
    xAxis: epochAxis(theme, Math.max(0, ...shown.map(({ model }) => model.mean.length))),
    yAxis: { ...axisStyleIn(theme), name: 'test error (%)', nameGap: 40, ...vertical.axis(theme) },
    series: [
      ...shown.map(({ model, color }) => band(model.mean, color, vertical.at)),
      ...shown.map(({ model: { name, mean }, color, type }) => ({
        ...line(
          mean.map(([value], i) => [i + 1, vertical.at(value)]),
          color,
        ),
        name,
        lineStyle: { width: 2, color, type },
      })),
    ],
  }
}

const epochAxis = (theme: Theme, longest: number) => ({
  ...axisStyleIn(theme),
  type: 'value',
  name: 'epoch',
  nameGap: 30,
  // A single epoch has no place of its own between two ends.
  min: longest > 1 ? 1 : 0,
  max: Math.max(2, longest),
  minInterval: 1,
})

interface Vertical {
  axis(theme: Theme): object
  /** Where a value stands on the axis. */
  at(value: number): number
}

const linear: Vertical = { axis: () => ({ type: 'value', min: 0 }), at: (value) => value }

/**
 * Errors by their logarithms, between the nearest of 1, 2, 5, 10, … that hold all means. What reaches below, a band or no
 * error at all, ends there.
 */
function logarithmic(models: readonly ModelCurves[]): Vertical {
  const means = models.flatMap(({ mean }) => mean.map(([value]) => value).filter((value) => value > 0))
  const highest = means.reduce((most, value) => Math.max(most, value), 0.1)
  const lowest = means.reduce((least, value) => Math.min(least, value), highest)
  const all = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
  const first = all.findLastIndex((tick) => tick <= lowest)
  const last = all.findIndex((tick) => tick >= highest)
  const ticks = all.slice(Math.max(0, Math.min(first, last - 1)), last + 1).map(Math.log10)
  const [min, max] = [ticks[0]!, ticks.at(-1)!]
  return {
    axis: (theme) => ({
      ...{ type: 'value', min, max },
      axisLabel: {
        ...axisStyleIn(theme).axisLabel,
        customValues: ticks,
        formatter: (exponent: number) => `${Number((10 ** exponent).toPrecision(3))}`,
      },
      axisTick: { customValues: ticks },
    }),
    at: (value) => Math.min(max, Math.max(min, Math.log10(value))),
  }
}

/** What ECharts hands to a function that draws one item. */
interface Drawing {
  coord(point: readonly [number, number]): [number, number]
}

/** One polygon for the whole band: it is drawn with its first point, and not again for the others. */
function band(mean: ModelCurves['mean'], color: string, at: Vertical['at']) {
  const edge = (sign: number): [number, number][] =>
    mean.map(([value, std], i) => [i + 1, at(Math.max(0, value + sign * (std ?? 0)))])
  const points = [...edge(1), ...edge(-1).reverse()]
  return {
    type: 'custom',
    silent: true,
    clip: true,
    // All of them, so that the axis has room for them.
    data: mean.some(([, std]) => std !== null) ? points : [],
    renderItem: ({ dataIndex }: { readonly dataIndex: number }, { coord }: Drawing) =>
      dataIndex > 0
        ? undefined
        : {
            type: 'polygon',
            shape: { points: points.map((point) => coord(point)) },
            style: { fill: color, opacity: 0.15 },
          },
  }
}

/** Which run is drawn, by indices, and what of it. */
export interface RunPlace {
  readonly model: number
  readonly run: number
  readonly quantity: Quantity
}

export const curveKeys = {
  error: { training: 'error', test: 'testError' },
  loss: { training: 'loss', test: 'testLoss' },
} as const satisfies Record<Quantity, object>

/** From 0 to the largest value of all runs, so that they can be compared side by side. */
export interface RunAxis {
  readonly max: number
  readonly interval: number
}

export function runAxis(models: readonly ModelCurves[], quantity: Quantity): RunAxis {
  const { training, test } = curveKeys[quantity]
  const values = models.flatMap(({ runs }) => runs.flatMap((run) => [...run[training], ...run[test]]))
  const highest = values.reduce((most, value) => Math.max(most, value), 0) || 1
  const power = 10 ** Math.floor(Math.log10(highest))
  const interval = power * (highest <= 2 * power ? 0.5 : highest <= 5 * power ? 1 : 2)
  return { max: Math.ceil(highest / interval) * interval, interval }
}

/** Training and test curve of a run; dashed lines where the learning rate changes. */
export function runChart(
  models: readonly ModelCurves[],
  place: RunPlace,
  vertical: RunAxis,
  theme: Theme,
): EChartsCoreOption {
  const { epochs, runs } = models[place.model]!
  const run = runs[place.run]!
  const keys = curveKeys[place.quantity]
  const axis = axisStyleIn(theme)
  const small = { ...axis, axisLabel: { ...axis.axisLabel, fontSize: 10 } }
  const { color: own } = lineOf(place.model, theme)
  const curve = (values: readonly number[], color: string) => ({
    ...line(
      values.map((value, i) => [i + 1, value]),
      color,
    ),
    lineStyle: { width: 1.5, color },
  })
  // An epoch begins where the one before it ends.
  const changes = run.learningRate.flatMap((rate, i, rates) => (i > 0 && rate !== rates[i - 1] ? [{ xAxis: i }] : []))
  return {
    grid: smallGrid,
    xAxis: { ...epochAxis(theme, epochs), ...small, name: '', splitLine: { show: false } },
    yAxis: { ...small, type: 'value', min: 0, ...vertical },
    series: [
      { ...curve(run[keys.training], theme.quiet), name: 'training' },
      {
        ...curve(run[keys.test], own),
        name: 'test',
        markLine: {
          symbol: 'none',
          silent: true,
          label: { show: false },
          lineStyle: { type: 'dashed', color: theme.line, width: 1 },
          data: changes,
        },
      },
    ],
  }
}
