// Charts in the place of their pictures, and what is read off them.

import { TooltipComponent } from 'echarts/components'
import { type ECharts, type EChartsCoreOption, init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'
import { font } from '../../../driver/charts/style.js'
import type { Html } from '../page/html.js'

use([SVGRenderer, TooltipComponent])

export interface Drawing {
  readonly chart: ECharts
  /** @param tip what is said of an epoch, from 1 */
  show(options: EChartsCoreOption, tip: (epoch: number) => Html): void
}

/** Draws over the picture in the place; the picture stays for paper. */
export function drawIn(place: HTMLElement): Drawing {
  const drawn = document.createElement('div')
  drawn.className = 'drawn'
  place.append(drawn)
  place.classList.add('live')
  const chart = init(drawn, null, { renderer: 'svg' })
  // On paper it has no size.
  new ResizeObserver(() => drawn.clientWidth > 0 && chart.resize()).observe(drawn)
  const show: Drawing['show'] = (options, tip) => {
    const formatter = (points: readonly { readonly axisValue: number }[]) => tip(Math.round(points[0]!.axisValue)).text
    const tooltip = {
      ...{ trigger: 'axis', confine: true, transitionDuration: 0, className: 'tip', formatter, position },
      ...{ backgroundColor: 'var(--card)', borderColor: 'var(--line)', textStyle: { color: 'var(--text)' } },
      axisPointer: { lineStyle: { color: 'var(--line)' } },
    }
    chart.setOption({ animation: false, textStyle: { fontFamily: font }, ...options, tooltip }, true)
  }
  return { chart, show }
}

interface Sizes {
  readonly contentSize: readonly [width: number, height: number]
  readonly viewSize: readonly [width: number, height: number]
}

/** Beside the pointer, and high up: errors fall, so that it covers no curve's end. */
function position(
  [x]: readonly number[],
  _points: unknown,
  _tip: unknown,
  _at: unknown,
  { contentSize, viewSize }: Sizes,
): [number, number] {
  const gap = 16
  const right = x! + gap
  return [right + contentSize[0] > viewSize[0] ? x! - gap - contentSize[0] : right, gap]
}

/** The value of the checked one of the radio buttons of a name. */
export const chosen = <T extends string>(name: string): T =>
  document.querySelector<HTMLInputElement>(`[name="${name}"]:checked`)!.value as T

export function onChoice(name: string, listener: () => void): void {
  for (const input of document.querySelectorAll(`[name="${name}"]`)) input.addEventListener('change', listener)
}
