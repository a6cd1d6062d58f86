// What ONNX Runtime's profiler wrote, as times of the nodes of a step.
import { z } from 'zod'
import { median } from '../format/units.js'
import { flopsOf } from './flops.js'

/** Each operand as { element type: dimensions }; what has no tensor or is not known stands empty. */
const shapes = z
  .array(z.record(z.string(), z.array(z.int().min(0))))
  .transform((operands) => operands.map((operand) => Object.values(operand)[0] ?? []))
  .catch([])

const span = { ts: z.number(), dur: z.number().min(0) }
const run = z.object({ cat: z.literal('Session'), name: z.literal('model_run'), ...span })
const kernel = z.object({
  cat: z.literal('Node'),
  name: z.string().regex(/_kernel_time$/),
  ...span,
  args: z.object({
    op_name: z.string(),
    /** Where the node was placed: `CPUExecutionProvider`, for one. */
    provider: z.string().optional(),
    input_type_shape: shapes,
    output_type_shape: shapes,
  }),
})
const event = z.union([run, kernel])

/** Of the profiler's events, those that say when a run or a node's kernel ran. */
export type ProfileEvent = z.infer<typeof event>

/** One line of the profiler's file, which has an event a line; undefined for others, and for what is no JSON. */
export function parseEvent(line: string): ProfileEvent | undefined {
  try {
    return event.safeParse(JSON.parse(line.replace(/,\s*$/, ''))).data
  } catch {
    return undefined
  }
}

/** The execution providers that ran nodes of this operator, each once. */
export const placesOf = (operator: string, events: readonly ProfileEvent[]): string[] => [
  ...new Set(
    events.flatMap((event) =>
      event.cat === 'Node' && event.args.op_name === operator ? [event.args.provider ?? 'unknown'] : [],
    ),
  ),
]

/** One node, in the median step. */
export interface NodeTime {
  readonly name: string
  readonly operator: string
  /** How often it runs in a step: more than once within a loop. */
  readonly calls: number
  /** Milliseconds in a step. */
  readonly ms: number
  /** Floating-point operations in a step. */
  readonly flops: number
}

export interface StepTimes {
  /** Steps that counted. */
  readonly steps: number
  /** Milliseconds of a whole step, the profiler's own work included. */
  readonly stepMs: number
  readonly nodes: readonly NodeTime[]
}

/** Their time is that of the nodes in their bodies, which have events of their own. */
const containers = new Set(['If', 'Loop', 'Scan'])

/** Medians over the runs, without the first `warmUp` of them. */
export function stepTimes(events: readonly ProfileEvent[], warmUp: number): StepTimes {
  const runs = events
    .filter(({ cat }) => cat === 'Session')
    .sort((a, b) => a.ts - b.ts)
    .slice(warmUp)
  const found = new Map<string, { name: string; operator: string; micros: number[]; calls: number; flops: number }>()
  for (const event of events) {
    if (event.cat !== 'Node' || containers.has(event.args.op_name)) continue
    const step = runs.findIndex(({ ts, dur }) => event.ts >= ts && event.ts <= ts + dur)
    if (step < 0) continue
    const name = event.name.replace(/_kernel_time$/, '')
    const { op_name: operator, input_type_shape: inputs, output_type_shape: outputs } = event.args
    const key = `${operator} ${name}`
    const node = found.get(key) ?? { name, operator, micros: runs.map(() => 0), calls: 0, flops: 0 }
    found.set(key, node)
    node.micros[step]! += event.dur
    node.calls++
    node.flops += flopsOf(operator, inputs, outputs)
  }
  const steps = runs.length
  return {
    steps,
    stepMs: median(runs.map(({ dur }) => dur)) / 1000,
    nodes: [...found.values()].map(({ name, operator, micros, calls, flops }) => ({
      name,
      operator,
      calls: calls / steps,
      ms: median(micros) / 1000,
      flops: flops / steps,
    })),
  }
}
