// How a chart becomes the text of an SVG file.
import { type EChartsCoreOption, init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'
import { font } from './style.js'

use([SVGRenderer])

export interface SvgSettings {
  /** Pixels. */
  readonly width?: number
  readonly height?: number
  /** Before all names in it; pictures within one page need different ones. */
  readonly names?: string
}

/** The chart as the text of an SVG file, 800 by 500 unless given. The same options give the same bytes. */
export function svgOf(options: EChartsCoreOption, settings: SvgSettings = {}): string {
  const { width = 800, height = 500, names = 'n' } = settings
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height })
  try {
    chart.setOption({ animation: false, backgroundColor: '#ffffff', textStyle: { fontFamily: font }, ...options })
    return withStableNames(chart.renderToSVGString(), names)
  } finally {
    chart.dispose()
  }
}

/** The renderer numbers its class names and ids on through all charts of a process: count them anew for each. */
function withStableNames(svg: string, prefix: string): string {
  const names = new Map<string, string>()
  return svg.replace(/\bzr\d+-[a-z]+-?\d+\b/g, (name) => {
    const stable = names.get(name) ?? `${prefix}${names.size}`
    names.set(name, stable)
    return stable
  })
}
