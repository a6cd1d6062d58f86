// A chart in the page's own colours, by day and by night, with its content in words for who does not see it.

import { type EChartsCoreOption, init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'
import { useEffect, useRef } from 'preact/hooks'

use([SVGRenderer])

interface ChartProps {
  readonly options: EChartsCoreOption
  /** What it shows, in words. */
  readonly label: string
  readonly class?: string
}

export function Chart({ options, label, class: name = '' }: ChartProps) {
  const place = useRef<HTMLDivElement>(null)
  const chart = useRef<ReturnType<typeof init>>(null)
  useEffect(() => {
    const element = place.current!
    const made = init(element, null, { renderer: 'svg' })
    chart.current = made
    // In a tab that is not shown it has no size.
    const observer = new ResizeObserver(() => element.clientWidth > 0 && made.resize())
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.dispose()
    }
  }, [])
  useEffect(() => {
    chart.current!.setOption(
      {
        animation: false,
        textStyle: { fontFamily: getComputedStyle(document.body).fontFamily.replaceAll('"', '') },
        ...options,
      },
      true,
    )
  }, [options])
  return <div class={`chart ${name}`} role="img" aria-label={label} ref={place} />
}

/** Of what is said beside the pointer. */
export const tooltip = {
  confine: true,
  transitionDuration: 0,
  backgroundColor: 'var(--card)',
  borderColor: 'var(--line)',
  textStyle: { color: 'var(--text)', fontSize: 13 },
}
