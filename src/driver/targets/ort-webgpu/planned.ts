// The steps of target `ort-webgpu` as a run takes them, in Node and in a page.

import type { Plan, PlannedStep, PlanOptions } from '../target.js'
import { heldIn } from './held.js'
import { type PackedStep, packedStep, stepsOf, unrolled, vectorsOf } from './steps.js'

export interface WebgpuPlan extends Plan {
  readonly target: 'ort-webgpu'
}

/** A model for each batch size and for each number of steps. */
export function webgpuSteps({
  model,
  batch,
  stepsPerRun,
}: Pick<PlanOptions, 'model' | 'batch' | 'stepsPerRun'>): PlannedStep<WebgpuPlan> {
  const { signature } = model
  const lowered = new Map<number, PackedStep>()
  const stepFor = (size: number): PackedStep => {
    const known = lowered.get(size) ?? packedStep(model.graph(size), signature)
    lowered.set(size, known)
    return known
  }
  const written = new Map<string, Uint8Array>()
  const models = (size: number, steps = 1): Uint8Array => {
    const key = `${size} ${steps}`
    const known = written.get(key) ?? model.encode(unrolled(stepFor(size), signature, steps).graph, { signature })
    written.set(key, known)
    return known
  }
  const step = stepFor(batch)
  return {
    plan: { target: 'ort-webgpu' },
    models,
    signature,
    added: {},
    inLoop: true,
    stepsPerRun: stepsPerRun ?? stepsOf(step),
    held: heldIn(vectorsOf(step)),
    keepModels: true,
    optimize: true,
    timings: new Map(),
  }
}
