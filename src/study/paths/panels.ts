// Pictures of two panels side by side.
import { axisStyle, colours } from '../../driver/charts/style.js'

export const panelSize = { width: 1000, height: 460 }

export const panels = [
  { left: 80, width: 390, top: 110, bottom: 60, containLabel: false },
  { left: 570, width: 390, top: 110, bottom: 60, containLabel: false },
]

// A picture, nothing to point at.
export const still = { silent: true, emphasis: { disabled: true } }

type Axis = Readonly<Record<string, unknown>> & { readonly axisLabel?: object }

/** The axes of each panel. */
export function panelAxes(axes: readonly { readonly x: Axis; readonly y: Axis }[]) {
  const styled = (axis: Axis, gridIndex: number) => ({
    ...axisStyle,
    ...axis,
    axisLabel: { ...axisStyle.axisLabel, ...axis.axisLabel },
    gridIndex,
  })
  return { xAxis: axes.map(({ x }, i) => styled(x, i)), yAxis: axes.map(({ y }, i) => styled(y, i)) }
}

/** What ECharts hands to a function that draws one item. */
interface Drawing {
  value(dimension: number): number
  coord(point: readonly [number, number]): [number, number]
}

/** A vertical bar with caps for each [x, low, high]. */
export const errorBars = (points: readonly (readonly number[])[], colour: string = colours.line) => ({
  ...still,
  type: 'custom',
  data: points,
  renderItem: (_: unknown, { value, coord }: Drawing) => {
    const [x, low] = coord([value(0), value(1)])
    const [, high] = coord([value(0), value(2)])
    const line = (x1: number, y1: number, x2: number, y2: number) => ({
      type: 'line',
      shape: { x1, y1, x2, y2 },
      style: { stroke: colour, lineWidth: 1 },
    })
    return {
      type: 'group',
      children: [line(x, low, x, high), line(x - 3, low, x + 3, low), line(x - 3, high, x + 3, high)],
    }
  },
})
