// A plan: which networks are trained, how, and with which seeds. Its file is YAML; keys and values are spelled as the options
// of rdm-export and rdm-fit.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import { z } from 'zod'
import { architectureFrom, kebab, type NetworkOptions } from '../../../graphs/describe.js'
import { pixelStatistics } from '../../../graphs/pixels.js'
import { recipeNames, recipes } from '../../../graphs/recipes.js'
import { architectureSchema } from '../../../graphs/residual.js'
import { messageOf, UserError } from '../../core/errors.js'
import { recipeSchema } from '../../core/model/recipe.js'
import { scheduleText } from '../../core/training/schedule.js'
import { fitConfigSchema } from '../../driver/fit/config.js'
import { precisions } from '../../driver/targets/target.js'
import { decimalNumber, maskList, numberList, seedList, wholeNumber } from '../text.js'
import { parseYaml } from './yaml.js'

/** The settings that decide what a run comes to, besides network, first values and seed. */
export const planConfigSchema = fitConfigSchema.pick({
  epochs: true,
  batchSize: true,
  learningRate: true,
  augment: true,
  steps: true,
  precision: true,
})
export type PlanConfig = Readonly<z.infer<typeof planConfigSchema>>

const inits = ['he', 'uniform'] as const

/** No separators, no dots, nothing that a file system or a job queue takes for something else. */
const safeName = z.string().regex(/^(?!(con|nul|prn|aux|com\d|lpt\d|lock)$)[a-z0-9][a-z0-9_-]{0,63}$/i, {
  error: 'Expected a name for a folder: up to 64 letters, digits, - and _, such as rdm56-wide',
})

export const planModelSchema = z.strictObject({
  /** Of its folder; no two models share it. */
  name: safeName,
  architecture: architectureSchema,
  /** What the model's file says; `config` is what it is trained with. */
  recipe: recipeSchema,
  init: z.enum(inits),
  config: planConfigSchema,
  /** Rising. */
  seeds: z.array(z.int().min(0)).min(1),
})
export type PlanModel = Readonly<z.infer<typeof planModelSchema>>

/** One model trained with one seed. */
export interface Job {
  /** NAME/seed-N: its folder, too. */
  readonly id: string
  /** Of the model. */
  readonly name: string
  readonly seed: number
}

export const jobOf = (name: string, seed: number): Job => ({ id: `${name}/seed-${seed}`, name, seed })

export interface Plan {
  readonly name: string
  readonly models: readonly PlanModel[]
  /** In the order in which they begin. */
  readonly jobs: readonly Job[]
  /** SHA-256 of everything that decides the results. */
  readonly fingerprint: string
}

/** A list, or its text with commas. */
const listOf = <T>(text: z.core.$ZodType<T, string>) =>
  z.preprocess(
    (value) => (Array.isArray(value) && value.every((item) => typeof item === 'string') ? value.join(',') : value),
    text,
  )

/** What a model may set for itself, and the plan for all of them. */
const settings = {
  seeds: listOf(seedList).optional(),
  epochs: wholeNumber(1, 1_000_000).optional(),
  batch: wholeNumber(1, 65_536).optional(),
  lr: listOf(scheduleText).optional(),
  augment: z.enum(['true', 'false']).optional(),
  steps: wholeNumber(1, Number.MAX_SAFE_INTEGER).optional(),
  precision: z.enum(precisions).optional(),
  init: z.enum(inits).optional(),
}
const settingsSchema = z.object(settings)
type Settings = z.infer<typeof settingsSchema>

const network = {
  arch: z.string().optional(),
  block: z.enum(['basic', 'bottleneck']).optional(),
  depth: wholeNumber(2, 100_000).optional(),
  blocks: listOf(numberList).optional(),
  r: wholeNumber(1, 1000).optional(),
  'relu-drop': wholeNumber(0, 1000).optional(),
  functions: listOf(maskList).optional(),
  widths: listOf(numberList).optional(),
  classes: wholeNumber(2, 256).optional(),
  'image-size': wholeNumber(1, 1024).optional(),
  activation: z.enum(['pre', 'post']).optional(),
  shortcut: z.enum(['projection', 'padding']).optional(),
  'stochastic-depth': decimalNumber(1e-6, 1).optional(),
  pixels: z.enum(Object.keys(pixelStatistics) as (keyof typeof pixelStatistics)[]).optional(),
}
const networkSchema = z.object(network)

const modelSchema = z.strictObject({
  name: safeName.optional(),
  recipe: z.enum(recipeNames).optional(),
  ...settings,
  ...network,
})

const planSchema = z.strictObject({
  format: z.literal('rdm-onnx plan 1'),
  name: safeName.optional(),
  ...settings,
  models: z.array(modelSchema).min(1, { error: 'Expected at least one model' }),
})

/** The keys that a plan and each of its models may have. */
export const planKeys = { plan: Object.keys(planSchema.shape), model: Object.keys(modelSchema.shape) } as const

/**
 * Reads a plan.
 * @throws UserError in one line that names file and line: no YAML, an unknown key or network (with the nearest), a value
 *   that does not fit, two models of one name
 */
export async function readPlan(path: string): Promise<Plan> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new UserError(`cannot read the plan ${path}: ${messageOf(error)}`)
  })
  const { value, fail } = parseYaml(text, path, planSchema, ({ length }) =>
    length === 0 ? planKeys.plan : planKeys.model,
  )
  const name = safeName.safeParse(value.name ?? basename(path, extname(path)))
  if (!name.success) fail([], `the file's name makes no folder's name: give the plan a name of its own (name: …)`)
  const models: PlanModel[] = []
  value.models.forEach((own, i) => {
    const model = resolved(own, value, (message) => fail(['models', i], message))
    // Some file systems do not tell upper case from lower case.
    const twin = models.findIndex((other) => other.name.toLowerCase() === model.name.toLowerCase())
    if (twin !== -1)
      fail(
        ['models', i],
        `models[${twin}] is called ${models[twin]!.name} too: give one of them another name (name: …)`,
      )
    models.push(model)
  })
  return planOf(name.data!, models)
}

/** The plan of these models. */
export function planOf(name: string, given: readonly PlanModel[]): Plan {
  // Parsed, their keys have one order, on which the fingerprint would depend.
  const models = given.map((model) => planModelSchema.parse(model))
  const sorted = [...models].sort((a, b) => (a.name < b.name ? -1 : 1))
  return { name, models, jobs: jobsOf(models), fingerprint: sha256(JSON.stringify(sorted)) }
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** The first seed of every model, then the second of every model: what is there early has something of each row. */
function jobsOf(models: readonly PlanModel[]): Job[] {
  const rounds = Math.max(...models.map(({ seeds }) => seeds.length))
  return Array.from({ length: rounds }, (_, round) => round).flatMap((round) =>
    models.flatMap(({ name, seeds }) => {
      const seed = seeds[round]
      return seed === undefined ? [] : [jobOf(name, seed)]
    }),
  )
}

/** One model with the plan's settings where it has none of its own, and the recipe's where the plan has none. */
function resolved(own: z.infer<typeof modelSchema>, plan: Settings, fail: (message: string) => never): PlanModel {
  const { architecture, recipe: usual } = networkOf(own, fail)
  const recipe = recipes[own.recipe ?? usual]
  const setting = <K extends keyof Settings>(key: K): Settings[K] => own[key] ?? plan[key]
  const augment = setting('augment')
  const name = safeName.safeParse(own.name ?? architecture.name)
  if (!name.success) fail('its network makes no name for a folder: give it one (name: …)')
  const seeds = setting('seeds')
  if (!seeds) fail('which seeds? Give them, as in seeds: 1..5, here or for all models')
  const config = {
    epochs: setting('epochs') ?? recipe.epochs,
    batchSize: setting('batch') ?? recipe.batchSize,
    learningRate: setting('lr') ?? recipe.learningRate,
    augment: augment === undefined ? recipe.augment : augment === 'true',
    steps: setting('steps') ?? null,
    precision: setting('precision') ?? 'fp32',
  }
  // What the plan calls a network of its own, everything that reads its files calls it too.
  const called = own.arch === undefined ? { ...architecture, name: name.data! } : architecture
  return { name: name.data!, architecture: called, recipe, init: setting('init') ?? 'he', config, seeds: [...seeds!] }
}

function networkOf(own: z.infer<typeof networkSchema>, fail: (message: string) => never) {
  const camel = (key: string) => key.replace(/-[a-z]/g, (pair) => pair[1]!.toUpperCase())
  const given = Object.keys(network).flatMap((key) => {
    const value = own[key as keyof typeof network]
    return value === undefined ? [] : [[camel(key), value] as const]
  })
  try {
    return architectureFrom(Object.fromEntries(given) as NetworkOptions, kebab)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return fail(error.message)
  }
}
