// What every picture shares: colours, fonts, axes. Nothing here depends on a chart library.

// Without quotation marks: the renderer does not escape them in attributes.
export const font = 'Helvetica, Arial, Liberation Sans, sans-serif'

/**
 * Colours of curves, in the order in which they are given out. With normal sight and with any one kind of cone missing each
 * is told from each other and from what is quiet (at least 18 apart in CIELAB), and from the background (contrast above 3).
 */
const curvesOnWhite = ['#c1272d', '#2b5c8a', '#d17f05', '#17a173', '#b24be0', '#111111', '#7e2848', '#022b5a'] as const
const curvesOnDark = ['#ff7b72', '#79b8ff', '#f9c824', '#42fabd', '#9e55e7', '#c9dbed', '#c70566', '#b88114'] as const

export interface Theme {
  readonly background: string
  readonly text: string
  /** Of what stands back behind the rest. */
  readonly quiet: string
  /** Of lines that help to read a chart. */
  readonly line: string
  readonly grid: string
  readonly curves: readonly string[]
}

export const onWhite: Theme = {
  ...{ background: '#ffffff', text: '#333333', quiet: '#8a9ab0', line: '#b9b9b9', grid: '#eeeeee' },
  curves: curvesOnWhite,
}

export const onDark: Theme = {
  ...{ background: '#16191d', text: '#d5dae1', quiet: '#7d8ca0', line: '#5a626c', grid: '#2a2f36' },
  curves: curvesOnDark,
}

/** The colours of pictures that are files. */
export const colours = {
  first: curvesOnWhite[0],
  second: curvesOnWhite[1],
  quiet: onWhite.quiet,
  line: onWhite.line,
  text: onWhite.text,
}

/** Of an axis with its name in the middle. */
export const axisStyleIn = ({ text, grid }: Theme) => ({
  nameLocation: 'middle' as const,
  nameTextStyle: { fontSize: 14, color: text },
  axisLabel: { fontSize: 12, color: text },
  axisLine: { show: true, lineStyle: { color: text } },
  splitLine: { lineStyle: { color: grid } },
})

export const axisStyle = axisStyleIn(onWhite)

export const titleStyle = {
  left: 'center',
  top: 10,
  textStyle: { fontSize: 16, color: colours.text },
  subtextStyle: { fontSize: 13, color: colours.text },
}
