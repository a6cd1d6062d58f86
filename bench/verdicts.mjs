// What the step is to reach, and whether it does.

import { oursBy } from './contestants.mjs'

/** Of the given contestants, the one with the least of something; undefined when none took part. */
const least = (results, prefix, value) =>
  results.filter(({ name }) => name.startsWith(prefix)).reduce((a, b) => (a && value(a) <= value(b) ? a : b), undefined)

const time = ({ median }) => median
const memory = ({ peakBytes }) => peakBytes

/** Each: what is asked, of which networks, what must and what should be reached, and what was; more is better, or less. */
const goals = [
  {
    what: 'step, against the portable target',
    of: ['rdm56'],
    must: 1.6,
    aim: 2.5,
    unit: ' ×',
    got: (ours, { results }) => ratio(least(results, oursBy('portable'), time), ours, time),
  },
  {
    what: 'step, against the faster PyTorch',
    of: ['rdm56', 'rdm83'],
    must: 1,
    aim: 1.5,
    unit: ' ×',
    got: (ours, { results }) => ratio(least(results, 'torch', time), ours, time),
  },
  {
    what: 'step, against onnxruntime-training',
    of: ['rdm56', 'rdm83'],
    must: 1.5,
    aim: 2.5,
    unit: ' ×',
    got: (ours, { results }) => ratio(least(results, 'ort-training', time), ours, time),
  },
  {
    what: 'peak memory, over that of the leaner PyTorch',
    of: ['rdm56', 'rdm83'],
    must: 1,
    aim: 0.7,
    unit: ' ×',
    less: true,
    got: (ours, { results }) => ratio(ours, least(results, 'torch', memory), memory),
  },
  {
    what: 'the same, without what PyTorch holds when imported',
    of: ['rdm56', 'rdm83'],
    must: 1,
    aim: 0.7,
    unit: ' ×',
    less: true,
    got: (ours, { results }) => {
      const net = ({ peakBytes, libraryBytes }) => peakBytes - libraryBytes
      return ratio(ours, least(results, 'torch', net), net)
    },
  },
  {
    what: 'time to the first step',
    of: ['rdm56'],
    must: 5,
    aim: 2,
    unit: ' s',
    less: true,
    got: (_, { firstStep }) => firstStep.median,
  },
  {
    what: 'share of the sgemm peak',
    of: ['rdm56'],
    must: 45,
    aim: 65,
    unit: ' %',
    got: (ours, { flops, sgemm }) => (100 * flops) / ours.median / 1e6 / sgemm.peak,
  },
]

const ratio = (above, below, value) => (above && below ? value(above) / value(below) : undefined)

/** A row for each goal whose contestants took part. */
export function verdicts(architecture, measured) {
  const ours = measured.results.find(({ name }) => name === measured.ours)
  return goals.flatMap(({ what, of, must, aim, unit, less = false, got: get }) => {
    const got = get(ours, measured)
    if (got === undefined) return []
    const reaches = (goal) => (less ? got <= goal : got >= goal)
    const verdict = !of.includes(architecture)
      ? 'not asked of this network'
      : reaches(aim)
        ? 'reaches the aim'
        : reaches(must)
          ? 'passes'
          : 'falls short'
    return [{ what, got, must, aim, unit, verdict }]
  })
}
