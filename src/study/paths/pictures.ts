// Pictures of counted paths. Counts, beyond what a number holds, and edges are drawn by their logarithms.
import { LineChart, ScatterChart } from 'echarts/charts'
import {
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  MarkLineComponent,
  TitleComponent,
} from 'echarts/components'
import { use } from 'echarts/core'
import { axisStyle, colours, titleStyle } from '../../driver/charts/style.js'
import { svgOf } from '../../driver/charts/svg.js'
import { type Configuration, type Cost, edgeCost, unitsFor } from './budget.js'
import { log10 } from './lengths.js'

use([LineChart, ScatterChart, GridComponent, LegendComponent, MarkAreaComponent, MarkLineComponent, TitleComponent])

/** 12 → 10¹² */
const powerOfTen = (exponent: number) => `10${[...`${exponent}`].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)]).join('')}`

const countAxis = (name: string) => ({
  ...axisStyle,
  type: 'value' as const,
  name,
  nameGap: 50,
  min: 0,
  minInterval: 1,
  axisLabel: { ...axisStyle.axisLabel, formatter: powerOfTen },
})
const grid = { left: 80, right: 40, top: 110, bottom: 60, containLabel: false }
const legend = { top: 66, itemGap: 40, itemWidth: 16, textStyle: { fontSize: 13, color: colours.text } }
// A picture, nothing to point at.
const still = { silent: true, emphasis: { disabled: true } }

export interface LengthsPicture {
  readonly title: string
  readonly lengths: readonly bigint[]
  readonly layersPerFunction: number
  /** Lengths that count as effective, and what to write beside them. */
  readonly within?: { readonly first: number; readonly last: number; readonly text: string } | undefined
}

/** Paths by the number of functions that they go through. */
export function lengthsSvg({ title, lengths, layersPerFunction, within }: LengthsPicture): string {
  const shaded = within && within.first <= within.last
  return svgOf({
    title: { ...titleStyle, text: title, subtext: within ? `effective paths, of ${within.text} of all (shaded)` : '' },
    grid: { ...grid, top: 80 },
    xAxis: {
      ...axisStyle,
      type: 'value',
      name: `residual functions on a path, each ${layersPerFunction} layers`,
      nameGap: 32,
      min: 0,
      max: lengths.length - 1,
      minInterval: 1,
    },
    yAxis: countAxis('paths'),
    series: [
      {
        ...still,
        type: 'line',
        symbol: 'circle',
        symbolSize: 6,
        showSymbol: lengths.length <= 120,
        data: lengths.map((count, k) => [k, log10(count)]),
        lineStyle: { width: 1.5, color: colours.second },
        itemStyle: { color: colours.second },
        markArea: {
          silent: true,
          itemStyle: { color: colours.first, opacity: 0.12 },
          // Half a function to either side: a range of one length is seen, too.
          data: shaded
            ? [[{ xAxis: Math.max(0, within.first - 0.5) }, { xAxis: Math.min(lengths.length - 1, within.last + 0.5) }]]
            : [],
        },
      },
    ],
  })
}

export interface BudgetPicture {
  readonly title: string
  readonly subtitle: string
  readonly cost: Cost
  readonly limit: number
  /** By rising r. */
  readonly networks: readonly (Configuration & {
    readonly multiplicity: bigint
    readonly effectivePaths: bigint | null
  })[]
  /** Which paths count as effective, in words. */
  readonly range?: string | undefined
}

/** So many networks can all be labelled. */
const few = 14

/** `r=2` and so on for networks by rising r: for all of a few, for those far enough apart where there are many. */
function labelsFor(networks: BudgetPicture['networks'], doublings: number): ReadonlyMap<number, string> {
  const labels = new Map<number, string>()
  const highest = Math.max(...networks.map(({ multiplicity }) => log10(multiplicity)))
  let last = Number.NEGATIVE_INFINITY
  for (const { r, multiplicity } of networks) {
    const place = Math.log2(1 + r)
    const crowded = networks.length > few && place - last < 0.043 * doublings
    // A label below a point that lies on the axis would be among the numbers there.
    if (crowded || log10(multiplicity) < 0.08 * highest) continue
    labels.set(r, `r=${r}`)
    last = place
  }
  return labels
}

/** Points of the drawn curve to one doubling of the edges. */
const curvePoints = 40

/**
 * Paths by k = 1 + r, the edges of a block. The curve is Appendix A's m = k^b for a budget that is used up to the last,
 * were there parts of functions and blocks; with edges alone, b = E / k, it is highest at k = e.
 */
export function budgetSvg({ title, subtitle, cost, limit, networks, range }: BudgetPicture): string {
  const edgesAlone = cost === edgeCost
  const most = Math.max(...networks.map(({ r }) => r)) + 1
  const doublings = Math.log2(most)
  const edges = Array.from({ length: Math.ceil(doublings * curvePoints) + 1 }, (_, i) =>
    Math.min(most, 2 ** (i / curvePoints)),
  )
  const curve = edges
    // Without functions there would be no parameters, and no end of blocks.
    .filter((k) => edgesAlone || k >= 2)
    .map((k) => [Math.log2(k), unitsFor(cost, limit, k - 1) * cost.blocksPerUnit * Math.log10(k)])
  const labels = labelsFor(networks, doublings)
  const points = (key: 'multiplicity' | 'effectivePaths') =>
    networks.flatMap((network) => {
      const count = network[key]
      if (!count) return []
      // Below the lower point of a network.
      const lower = network.effectivePaths ? 'effectivePaths' : 'multiplicity'
      const name = key === lower ? (labels.get(network.r) ?? '') : ''
      return [{ name, value: [Math.log2(1 + network.r), log10(count)] }]
    })
  const scatter = {
    ...still,
    type: 'scatter',
    label: {
      show: true,
      position: 'bottom',
      distance: 7,
      // Away from the points to the right, which lie lower.
      offset: networks.length > few ? [-12, 0] : [0, 0],
      formatter: '{b}',
      fontSize: 11,
      color: colours.text,
    },
  }
  const names = {
    paths: 'multiplicity',
    curve: edgesAlone ? `k^(${limit} / k)` : 'k^b, b not whole',
    effective: `effective paths, of ${range}`,
  }
  return svgOf({
    title: { ...titleStyle, text: `Paths through networks of ${title}`, subtext: subtitle },
    legend: {
      ...legend,
      data: [names.paths, { name: names.curve, icon: 'path://M0,0H16V2H0Z' }, ...(range ? [names.effective] : [])],
    },
    grid,
    xAxis: {
      ...axisStyle,
      type: 'value',
      name: 'edges of a block, k = 1 + r',
      nameGap: 32,
      min: 0,
      max: Math.ceil(doublings),
      interval: Math.ceil(doublings / 8),
      axisLabel: { ...axisStyle.axisLabel, formatter: (exponent: number) => `${2 ** exponent}` },
    },
    yAxis: countAxis('paths'),
    series: [
      {
        ...still,
        name: names.curve,
        type: 'line',
        symbol: 'none',
        data: curve,
        lineStyle: { width: 1.5, color: colours.quiet },
        itemStyle: { color: colours.quiet },
        markLine: {
          symbol: 'none',
          silent: true,
          lineStyle: { type: 'dashed', color: colours.line, width: 1 },
          label: { formatter: '{b}', fontSize: 11, color: '#777777' },
          data: edgesAlone ? [{ xAxis: Math.log2(Math.E), name: 'k = e' }] : [],
        },
      },
      {
        ...scatter,
        name: names.paths,
        symbolSize: 9,
        data: points('multiplicity'),
        itemStyle: { color: colours.first, opacity: 1 },
      },
      {
        ...scatter,
        name: names.effective,
        symbol: 'emptyDiamond',
        symbolSize: 14,
        data: points('effectivePaths'),
        itemStyle: { color: colours.second, opacity: 1 },
      },
    ],
  })
}
