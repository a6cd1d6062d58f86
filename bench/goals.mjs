// What is asked of a subject, and what was reached.

import { median } from './common.mjs'

const isTimed = ({ median }) => median !== undefined
const fastest = (results, prefix) =>
  Math.min(...results.filter((row) => isTimed(row) && row.name.startsWith(prefix)).map(({ median }) => median))
const leanest = (results, prefix) =>
  Math.min(
    ...results
      .filter(({ name, peakBytes }) => peakBytes !== undefined && name.startsWith(prefix))
      .map(({ peakBytes }) => peakBytes),
  )

/** Of ours that runs where the other does: in a page, on a GPU or not, or as a process. */
const oursBeside = (prefix) => (prefix.includes('page: ') ? prefix.replace(/page: .*/, 'page: ours') : 'ours')

/** How many times as fast as the fastest of the others the fastest of ours is; undefined where one of them was not timed. */
export function ratioTo(results, prefix) {
  const [theirs, own] = [prefix, oursBeside(prefix)].map((name) => fastest(results, name))
  return Number.isFinite(theirs) && Number.isFinite(own) ? theirs / own : undefined
}

const others = {
  firstStep: ({ firstStep }) => firstStep && median(firstStep.seconds),
  untuned: ({ firstStep }) => firstStep?.untuned,
  memory({ results }) {
    const share =
      results.find(({ name, peakBytes }) => name === 'ours ort-cpu' && peakBytes)?.peakBytes / leanest(results, 'torch')
    return Number.isFinite(share) && share > 0 ? share : undefined
  },
}
const words = {
  firstStep: 'first step, s',
  untuned: 'first step, never tuned, s',
  memory: "memory, of PyTorch's",
}

/** A row for each goal whose contestants took part: {what, got, must, reached}; of times and memory less is better. */
export const verdicts = (goals, measured) =>
  Object.entries(goals).flatMap(([goal, must]) => {
    const isOther = Object.hasOwn(others, goal)
    const got = isOther ? others[goal](measured) : ratioTo(measured.results, goal)
    if (got === undefined) return []
    const what = isOther ? words[goal] : `× as fast as ${goal}`
    return [{ what, got, must, reached: isOther ? got <= must : got >= must }]
  })
