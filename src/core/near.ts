// The names most like a wrong one, for messages.

import leven from 'leven'

/** Names further apart have nothing in common; files may have many long ones. */
const FURTHEST = 24

/** The names most like a wrong one, the likest first. */
export function nearest(name: string, names: readonly string[], count = 3): string[] {
  const distanceTo = (candidate: string) =>
    leven(name.toLowerCase(), candidate.toLowerCase(), { maxDistance: FURTHEST })
  const distance = new Map(names.map((candidate) => [candidate, distanceTo(candidate)]))
  return [...names].sort((a, b) => distance.get(a)! - distance.get(b)!).slice(0, count)
}

/** Of a name that is not there: what may be meant, as the end of a sentence. */
export function meant(name: string, names: readonly string[]): string {
  const near = nearest(name, names).map((candidate) => `'${candidate}'`)
  return near.length === 0 ? 'there is none' : `nearest are ${near.join(', ')}`
}
