// One run of an example: what it printed and wrote, and how far that lies from the reference.

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { imagesIn, modelsOf } from './nets.mjs'

/** What counts as equal, see docs/runtimes.md. */
export const TOLERANCE = 1e-4

/** The lines that every example prints, in words of its own language. */
export function parse(text) {
  const steps = [...text.matchAll(/^step (\d+): loss (\S+), (\d+) of 32 right, ([\d.]+) s$/gm)].map((match) => ({
    loss: Number(match[2]),
    correct: Number(match[3]),
    seconds: Number(match[4]),
  }))
  return { steps, predicted: /^infer\.onnx: (\d+) of 32 right$/m.exec(text)?.[1] }
}

/**
 * Runs an example for so many steps, with the models and images in a folder.
 * @returns what it printed, and the numbers in the files that it wrote, by name
 */
export async function attempt(runtime, folder, network, form, steps) {
  const trained = await mkdtemp(join(tmpdir(), 'rdm-interop-'))
  try {
    const text = await runtime.run(modelsOf(folder, network, form), imagesIn(folder), String(steps), trained)
    const files = new Map()
    for (const name of await readdir(trained)) {
      const { buffer, byteOffset, byteLength } = await readFile(join(trained, name))
      files.set(name, Float64Array.from(new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength))))
    }
    return { ...parse(text), files }
  } finally {
    await rm(trained, { recursive: true })
  }
}

const largest = (data) => data.reduce((most, value) => Math.max(most, Math.abs(value)), 0)

/** max |actual − expected| / max |expected|; an expected tensor below `floor` counts as if it reached it. */
export function difference(actual, expected, floor) {
  if (actual?.length !== expected.length) return Number.NaN
  const differences = Float64Array.from(expected, (value, i) => actual[i] - value)
  return differences.some(Number.isNaN) ? Number.NaN : largest(differences) / Math.max(floor, largest(expected))
}

// A gradient that is nothing but rounding, such as that of a shift before a batch norm, has no digits to compare.
const floorOf = (name) => (name.endsWith('.momentum') ? 0.05 : 1e-3)
/** NaN before any number. */
const worst = (values) => (values.some(Number.isNaN) ? Number.NaN : Math.max(...values))

export const inferenceDifference = ({ files }, { probabilities }) =>
  difference(files.get('probabilities'), probabilities.data, 0)

/** The largest of any loss and any tensor of the state; not a number where right answers are counted otherwise. */
export function trainingDifference({ steps, files }, { losses, correct, state }) {
  if (steps.length !== losses.length || steps.some((step, i) => step.correct !== correct[i])) return Number.NaN
  return worst([
    ...losses.map((loss, i) => Math.abs(steps[i].loss - loss) / loss),
    ...[...state].map(([name, { data }]) => difference(files.get(name), data, floorOf(name))),
  ])
}
