// Numbers as one would say them.

/** A fraction in per cent. */
export const percent = (fraction: number, digits = 2): string => `${(fraction * 100).toFixed(digits)} %`

/** Metrics as one would say them: `error 12.34 %, mae 0.1234`. */
export function scoresText(error: number | undefined, metrics: Readonly<Record<string, number>> = {}): string {
  const others = Object.entries(metrics).map(([name, value]) => `${name} ${value.toPrecision(4)}`)
  return [...(error === undefined ? [] : [`error ${percent(error)}`]), ...others].join(', ')
}

/** A time: 45 s, 12 min, 3 h 20 min. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 100) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
