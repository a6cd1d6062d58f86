// What every picture shares: fonts and colours, and how a chart becomes the text of an SVG file.
import { type EChartsCoreOption, init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'

use([SVGRenderer])

// Without quotation marks: the renderer does not escape them in attributes.
const font = 'Helvetica, Arial, Liberation Sans, sans-serif'

export const colours = { first: '#c1272d', second: '#2b5c8a', quiet: '#8a9ab0', line: '#b9b9b9', text: '#333333' }

/** Of an axis with its name in the middle. */
export const axisStyle = {
  nameLocation: 'middle' as const,
  nameTextStyle: { fontSize: 14, color: colours.text },
  axisLabel: { fontSize: 12, color: colours.text },
  axisLine: { show: true, lineStyle: { color: colours.text } },
  splitLine: { lineStyle: { color: '#eeeeee' } },
}

export const titleStyle = {
  left: 'center',
  top: 10,
  textStyle: { fontSize: 16, color: colours.text },
  subtextStyle: { fontSize: 13, color: colours.text },
}

/** The chart as the text of an SVG file, 800 by 500 unless given. The same options give the same bytes. */
export function svgOf(options: EChartsCoreOption, { width = 800, height = 500 } = {}): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height })
  try {
    chart.setOption({ animation: false, backgroundColor: '#ffffff', textStyle: { fontFamily: font }, ...options })
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
