// Everything that is measured on an NVIDIA GPU, part by part within nine minutes: bench/gpu.sh starts it. A part that fails
// or runs out of time says so and stops no other; what it had measured by then is reported.

import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { countOf, fail, option, printTable, temporaryFolder, writeReport } from './common.mjs'
import { accuracy, accuracyTable } from './gpu/accuracy.mjs'
import { correctness, correctnessTable } from './gpu/correctness.mjs'
import { lowerings, loweringsTable } from './gpu/lowerings.mjs'
import { machine, machineTable } from './gpu/machine.mjs'
import { runPart } from './gpu/part.mjs'
import { Processes } from './gpu/processes.mjs'
import { profiles, profilesTable } from './gpu/profile.mjs'
import { resnet18, resnet18Table } from './gpu/resnet18.mjs'
import { seedsSideBySide, seedsTable } from './gpu/seeds.mjs'
import { dataFolder } from './gpu/settings.mjs'
import { prepareSteps, stepsTable, stepTimes } from './gpu/steps.mjs'

/** `seconds` is the most that a part may take. What is not timed comes first: beside it PyTorch compiles its steps. */
const parts = {
  machine: { title: 'the machine', seconds: 30, work: machine, table: machineTable },
  correctness: {
    title: 'three steps on the GPU against the CPU: largest relative differences',
    seconds: 100,
    work: correctness,
    table: correctnessTable,
  },
  accuracy: { title: 'three epochs of CIFAR-10', seconds: 160, work: accuracy, table: accuracyTable },
  'step-rdm56': {
    title: 'a training step of RDM-56',
    seconds: 140,
    work: (...args) => stepTimes('rdm56', ...args),
    table: stepsTable,
  },
  'step-rdm83': {
    title: 'a training step of RDM-83',
    seconds: 140,
    work: (...args) => stepTimes('rdm83', ...args),
    table: stepsTable,
  },
  seeds: { title: 'seeds side by side', seconds: 150, work: seedsSideBySide, table: seedsTable },
  resnet18: {
    title: "someone else's network, resnet18 on 64 × 64",
    seconds: 130,
    work: resnet18,
    table: resnet18Table,
  },
  profile: { title: 'where the time of a step goes', seconds: 100, work: profiles, table: profilesTable },
  lowerings: { title: 'ways to write pieces of the step', seconds: 100, work: lowerings, table: loweringsTable },
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      ep: option('cuda'),
      target: option('ort-cuda'),
      /** Small networks, batches and data, for a machine without a GPU: that everything runs, no figures. */
      small: { type: 'boolean', default: false },
      parts: option(Object.keys(parts).join()),
      /** For all parts together. */
      seconds: option(530),
      batch: { type: 'string' },
      'steps-per-run': { type: 'string' },
      /** Of the steps' parts: all unless given. */
      contestants: { type: 'string' },
      /** Of the seeds side by side and of the profile. */
      'seeds-arch': option('rdm83'),
      precision: option('fp16'),
    },
  })
  const names = values.parts.split(',')
  const unknown = names.find((name) => !Object.hasOwn(parts, name))
  if (unknown !== undefined) fail(`no part is called '${unknown}'; there are ${Object.keys(parts).join(', ')}`)
  const oneOf = (name, allowed) =>
    allowed.includes(values[name])
      ? values[name]
      : fail(`--${name} is one of ${allowed.join(', ')}, not '${values[name]}'`)
  const { small } = values
  return {
    ep: oneOf('ep', ['cuda', 'cpu']),
    target: oneOf('target', ['ort-cuda', 'portable']),
    precision: values.target === 'portable' ? 'fp32' : oneOf('precision', ['fp32', 'fp16']),
    batch: values.batch === undefined ? (small ? 16 : 128) : countOf(values, 'batch'),
    stepsPerRun: values['steps-per-run'] === undefined ? (small ? 2 : undefined) : countOf(values, 'steps-per-run'),
    contestants: values.contestants?.split(','),
    seedsArch: values['seeds-arch'],
    seconds: countOf(values, 'seconds'),
    small,
    names,
  }
}

const untimed = ['machine', 'correctness', 'accuracy']
const isTimed = (name) => !untimed.includes(name)

/** Compiles PyTorch's steps beside the parts that are not timed, where there are any. */
function prepare(names, settings) {
  const processes = new Processes()
  const steps = names.filter((name) => name.startsWith('step-'))
  const all =
    settings.small || settings.ep !== 'cuda' || isTimed(names[0])
      ? []
      : steps.map((name) => prepareSteps(name.replace('step-', ''), processes, settings).catch(() => {}))
  return {
    /** Waits for them, but no longer than so many ms, and ends what is not done. */
    async done(ms) {
      await Promise.race([Promise.all(all), setTimeout(ms)])
      processes.end()
    },
  }
}

function print(name, title, table, report) {
  console.log(`\n== ${title} (${name}): ${report.verdict}, ${report.seconds ?? 0} s`)
  try {
    printTable(table(report))
  } catch {
    console.log('nothing was measured')
  }
}

async function main() {
  const begun = performance.now()
  const { names, seconds, ...options } = readOptions()
  const left = () => 1000 * seconds - (performance.now() - begun)
  const scratch = temporaryFolder()
  if (options.small) process.env.RESULTS ??= temporaryFolder()
  const settings = { ...options, scratch, data: await dataFolder(options, scratch) }
  const reports = {}
  const compiling = prepare(names, settings)
  for (const name of names) {
    if (isTimed(name)) await compiling.done(Math.min(30_000, left() / 4))
    const { title, table, work, ...part } = parts[name]
    // A part that is alone may take all the time there is.
    const most = names.length === 1 ? seconds : part.seconds
    console.log(`${title} …`)
    reports[name] = await runPart({ seconds: most, work }, settings, left)
    const { ep, target, batch, small } = settings
    const gpu = reports.machine?.gpu
    writeReport(`gpu-${name}.json`, {
      settings: { ep, target, batch, small },
      ...(gpu ? { gpu } : {}),
      ...reports[name],
    })
    print(name, title, table, reports[name])
  }
  if (names.length > 1) {
    console.log(`\n${'='.repeat(40)} all parts, ${Math.round((performance.now() - begun) / 1000)} s`)
    for (const name of names) print(name, parts[name].title, parts[name].table, reports[name])
  }
  // Nothing that a part left behind keeps the benchmark from ending.
  process.exit(0)
}

main().catch(({ message }) => fail(message))
