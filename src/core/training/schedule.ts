// Schedules: the learning rate, or any other hyperparameter, as a pure function of the position in a run.

import { UserError } from '../errors.js'
import { fromText, z } from '../schemas.js'

/** Where a run stands. */
export interface Position {
  /** Steps done, and the steps of the whole run. */
  readonly step: number
  readonly steps: number
  readonly stepsPerEpoch: number
}

const value = z.number()
const units = z.enum(['epochs', 'steps'])

/** A part of a run: so many epochs or steps, or a share of it. */
const spanSchema = z.union([
  z.strictObject({ share: z.number().check(z.gte(0), z.lte(1)) }),
  z.strictObject({ epochs: z.number().check(z.gte(0)) }),
  z.strictObject({ steps: z.number().check(z.gte(0)) }),
])
type Span = z.infer<typeof spanSchema>

const pairsSchema = z.array(z.tuple([z.int().check(z.gte(0)), value])).check(
  z.minLength(1, { error: 'a schedule needs at least one value', abort: true }),
  z.refine((steps) => steps[0]![0] === 0, { error: 'a schedule starts at 0' }),
  z.refine((steps) => steps.every(([at], i) => i === 0 || at > steps[i - 1]![0]), {
    error: 'the epochs or steps of a schedule have to rise',
  }),
)

const curves = z.enum(['linear', 'cosine'])

export const scheduleSchema = z.union(
  [
    /** [first epoch, value] pairs: each holds until the next one. */
    pairsSchema,
    /** As pairs, of epochs or steps; `linear` goes straight from one to the next. */
    z.strictObject({ kind: z.literal('piecewise'), per: units, points: pairsSchema, linear: z.boolean() }),
    /** Up from `start` to `max` in the warm-up, then down to `end` at the end of the run. */
    z.strictObject({
      kind: z.literal('cycle'),
      start: value,
      max: value,
      end: value,
      warmup: spanSchema,
      rise: curves,
      fall: curves,
      /** `epochs`: a value holds for an epoch. */
      per: units,
    }),
    /** from + (to − from) · (step/steps)^power */
    z.strictObject({ kind: z.literal('power'), from: value, to: value, power: z.number().check(z.gt(0)), per: units }),
  ],
  { error: 'expected [[epoch, value], …] or a schedule of kind piecewise, cycle or power' },
)
/**
 * A hyperparameter over the epochs: points, a cycle or a power. {@link parseSchedule} reads it from text, {@link valueAt}
 * evaluates it.
 */
export type Schedule = z.infer<typeof scheduleSchema>

const between = (a: number, b: number, part: number, curve: 'linear' | 'cosine'): number =>
  curve === 'linear' ? a + (b - a) * part : b + ((a - b) * (1 + Math.cos(Math.PI * part))) / 2

function piecewise(points: readonly (readonly [number, number])[], at: number, linear: boolean): number {
  const index = points.findLastIndex(([from]) => from <= at)
  const [from, value] = points[index]!
  const next = points[index + 1]
  return linear && next ? between(value, next[1], (at - from) / (next[0] - from), 'linear') : value
}

const stepsOf = (span: Span, { steps, stepsPerEpoch }: Position): number =>
  'share' in span ? span.share * steps : 'epochs' in span ? span.epochs * stepsPerEpoch : span.steps

/** The value at a position: of the step that is taken next. */
export function valueAt(schedule: Schedule, position: Position): number {
  const { step, steps, stepsPerEpoch } = position
  const epoch = Math.floor(step / stepsPerEpoch)
  if (!('kind' in schedule)) return piecewise(schedule, epoch, false)
  if (schedule.kind === 'piecewise') {
    const { per, points, linear } = schedule
    return piecewise(points, per === 'steps' ? step : linear ? step / stepsPerEpoch : epoch, linear)
  }
  const at = schedule.per === 'epochs' ? epoch * stepsPerEpoch : step
  if (schedule.kind === 'power') {
    const { from, to, power } = schedule
    return from + (to - from) * (at / steps) ** power
  }
  const { start, max, end, warmup, rise, fall } = schedule
  const top = Math.min(stepsOf(warmup, position), steps)
  if (at < top) return between(start, max, at / top, rise)
  return between(max, end, top === steps ? 0 : Math.min(1, (at - top) / (steps - top)), fall)
}

/** Whether values depend on how long the whole run is. */
export const needsLength = (schedule: Schedule): boolean => 'kind' in schedule && schedule.kind !== 'piecewise'

const NUMBER = /^-?(\d+\.?\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?)$/i
const numberOf = (text: string): number | undefined => (NUMBER.test(text.trim()) ? Number(text) : undefined)

type Report = (message: string) => void

/** `epoch:value` pairs, or one value. */
function readPairs(text: string, report: Report): [number, number][] | undefined {
  const pairs: [number, number][] = []
  for (const part of text.includes(':') ? text.split(',') : [`0:${text}`]) {
    const [, at = '', rest = ''] = /^\s*(\d{1,9})\s*:(.*)$/.exec(part) ?? []
    const number = numberOf(rest)
    if (at === '' || number === undefined) {
      report(
        `"${part}" is no step of a learning rate schedule: write epoch:rate, as in 0:0.01,1:0.1,80:0.01, or one rate`,
      )
      return undefined
    }
    pairs.push([Number(at), number])
  }
  return pairs
}

/** `20%`, `2` or `2epochs`, `500steps`. */
function readSpan(text: string): Span | undefined {
  const [, amount = '', unit = ''] = /^\s*([\d.e+-]+)\s*(%|epochs?|steps?)?\s*$/.exec(text) ?? []
  const number = numberOf(amount)
  if (number === undefined || number < 0) return undefined
  if (unit === '%') return { share: number / 100 }
  return unit.startsWith('step') ? { steps: number } : { epochs: number }
}

const forms = {
  cosine: 'max, end (0), start (0), warmup (0), per (steps)',
  linear: 'max, end (0), start (0), warmup (0), per (steps)',
  'one-cycle': 'max, start (max/25), end (start/10000), warmup (30%), anneal (cosine), per (steps)',
  power: 'from, to, power, per (steps)',
} as const

/** `max=0.1,warmup=5` by the names that a form has. */
function readNamed(form: keyof typeof forms, text: string, report: Report): unknown {
  const allowed = forms[form].replaceAll(/ \([^)]*\)/g, '').split(', ')
  const given = new Map<string, string>()
  for (const part of text.split(',')) {
    const [name = '', setting] = part.split('=').map((piece) => piece.trim())
    if (setting === undefined || !allowed.includes(name) || given.has(name)) {
      report(`"${part}" does not fit the schedule ${form}, which has ${forms[form]}: write ${allowed[0]}=0.1`)
      return undefined
    }
    given.set(name, setting)
  }
  const number = (name: string, usual?: number): number => {
    const text = given.get(name)
    const read = text === undefined ? usual : numberOf(text)
    if (read === undefined)
      report(
        text === undefined
          ? `the schedule ${form} needs ${name}=`
          : `${name}=${text} is no number, in the schedule ${form}`,
      )
    return read ?? 0
  }
  const per = given.get('per') ?? 'steps'
  if (form === 'power') return { kind: 'power', from: number('from'), to: number('to'), power: number('power'), per }
  const warmup = readSpan(given.get('warmup') ?? (form === 'one-cycle' ? '30%' : '0'))
  if (!warmup) report(`warmup=${given.get('warmup')} is no part of a run: write 20%, 2 (epochs) or 500steps`)
  const max = number('max')
  const isCycle = form === 'one-cycle'
  const start = number('start', isCycle ? max / 25 : 0)
  const anneal = isCycle ? (given.get('anneal') ?? 'cosine') : form
  return {
    kind: 'cycle',
    start,
    max,
    end: number('end', isCycle ? start / 10_000 : 0),
    warmup,
    rise: isCycle ? anneal : 'linear',
    fall: anneal,
    per,
  }
}

function readSchedule(text: string, report: Report): unknown {
  const [, form = '', rest = ''] = /^\s*([a-z-]+)\s*:(.*)$/s.exec(text) ?? []
  if (Object.hasOwn(forms, form)) return readNamed(form as keyof typeof forms, rest, report)
  if (form === 'steps' || form === 'epochs') {
    const points = readPairs(rest, report)
    return points && { kind: 'piecewise', per: form, points, linear: false }
  }
  if (form === 'piecewise-linear') {
    const points = readPairs(rest, report)
    return points && { kind: 'piecewise', per: 'epochs', points, linear: true }
  }
  if (form !== '') {
    const known = ['steps', 'epochs', 'piecewise-linear', ...Object.keys(forms)].join(', ')
    report(`there is no schedule '${form}': write epoch:rate pairs, or one of ${known}, followed by a colon`)
    return undefined
  }
  return readPairs(text, report)
}

/**
 * Text to a schedule: one value; `0:0.01,1:0.1,80:0.01` (epochs) or `steps:0:0.01,400:0.1`, which hold until the next;
 * `piecewise-linear:0:0,5:0.4,30:0`; `cosine:max=0.1,warmup=5`; `linear:…`; `one-cycle:max=0.1,warmup=30%`; `power:…`.
 */
export const scheduleText: z.ZodMiniType<Schedule, string> = fromText((text, report) => {
  let refused = false
  const read = readSchedule(text, (message) => {
    if (!refused) report(message)
    refused = true
  })
  if (refused) return z.NEVER
  const result = (Array.isArray(read) ? pairsSchema : scheduleSchema).safeParse(read)
  if (result.success) return result.data
  for (const issue of result.error.issues) report(`"${text}": ${issue.message}`)
  return z.NEVER
})

/**
 * Reads a schedule from text like `0:0.01,1:0.1,80:0.01` or `cosine:max=0.1,warmup=5`.
 * @throws UserError when it is not one.
 */
export function parseSchedule(text: string): Schedule {
  const result = scheduleText.safeParse(text)
  if (result.success) return result.data
  throw new UserError(result.error.issues.map((issue) => issue.message).join('; '))
}

const formatSpan = (span: Span): string =>
  'share' in span ? `${span.share * 100}%` : 'epochs' in span ? `${span.epochs}` : `${span.steps}steps`

const formatPairs = (pairs: readonly (readonly [number, number])[]): string =>
  pairs.map(([at, rate]) => `${at}:${rate}`).join(',')

/** The text that {@link parseSchedule} reads as this schedule. */
export function formatSchedule(schedule: Schedule): string {
  if (!('kind' in schedule)) return formatPairs(schedule)
  const per = schedule.per === 'epochs' ? ',per=epochs' : ''
  switch (schedule.kind) {
    case 'piecewise':
      return `${schedule.linear ? 'piecewise-linear' : schedule.per}:${formatPairs(schedule.points)}`
    case 'power':
      return `power:from=${schedule.from},to=${schedule.to},power=${schedule.power}${per}`
    case 'cycle': {
      const { start, max, end, warmup, rise, fall } = schedule
      const form = rise === fall ? 'one-cycle' : 'cosine'
      const anneal = rise === fall ? `,anneal=${fall}` : ''
      return `${form}:max=${max},start=${start},end=${end},warmup=${formatSpan(warmup)}${anneal}${per}`
    }
  }
}
