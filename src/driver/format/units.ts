// Numbers as one would say them.

/** A fraction in per cent, without the sign, as columns have it. */
export const percentage = (fraction: number, digits = 2): string => (fraction * 100).toFixed(digits)

/** A fraction in per cent. */
export const percent = (fraction: number, digits = 2): string => `${percentage(fraction, digits)} %`

/** The middle value; of an even count the mean of the two in the middle, of none 0. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return 0
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

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
