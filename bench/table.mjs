// The training step against its peers, in one table: `bench/peers/setup.sh && npm run bench`, or `npm run bench -- --all`.

import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { countOf, fail, machineName, option, printTable, temporaryFolder, writeReport, writeResult } from './common.mjs'
import { contestants, isInstalled, oursBy, usual } from './contestants.mjs'
import { verdicts } from './goals.mjs'
import { measure } from './measure.mjs'
import { subjects, tiny } from './subjects.mjs'
import { tableSvg } from './tableChart.mjs'

/** Of those that are known, the named ones. */
function chosen(text, known, what) {
  const names = text.split(';').map((name) => name.trim())
  const unknown = names.find((name) => !known.includes(name))
  return unknown === undefined ? names : fail(`no ${what} is called '${unknown}'; there are ${known.join('; ')}`)
}

/** Peers that take minutes to compile, or half a minute a step. */
const slow = ['torch compiled', 'ort-training', 'OpenVINO']

function readOptions() {
  const { values } = parseArgs({
    options: {
      /** Every network, every contestant. */
      all: { type: 'boolean', default: false },
      /** Some of them, with semicolons between. */
      networks: { type: 'string' },
      contestants: { type: 'string' },
      batch: { type: 'string' },
      threads: option(availableParallelism()),
      rounds: { type: 'string' },
      /** Processes for the time to the first step. */
      starts: option(3),
      /** The files in bench/results: NAME.json and NAME.svg. */
      out: option('table'),
    },
  })
  const { all } = values
  const table = { ...subjects, tiny }
  const names = values.networks
    ? chosen(values.networks, Object.keys(table), 'network')
    : Object.keys(subjects).filter((name) => all || subjects[name].quick)
  const known = [...new Set(Object.values(contestants).flatMap(Object.keys))]
  const wanted = values.contestants && chosen(values.contestants, known, 'contestant')
  if (wanted && wanted[0] !== oursBy('portable'))
    fail(`'${oursBy('portable')}' comes first: the others are checked against it`)
  const takesPart = (kind) => {
    if (wanted) return wanted.filter((name) => Object.hasOwn(contestants[kind], name))
    return usual(kind).filter((name) => all || !slow.includes(name))
  }
  const chosenSubjects = names.map((name) => ({ name, ...table[name], names: takesPart(table[name].kind) }))
  for (const { kind, names } of chosenSubjects)
    for (const name of names)
      if (!isInstalled(kind, name)) fail(`'${name}' is not installed: run bench/peers/setup.sh, or leave it out`)
  const batch = values.batch === undefined ? {} : { batch: countOf(values, 'batch') }
  const rounds = values.rounds === undefined ? (all ? 9 : 5) : countOf(values, 'rounds')
  const [threads, starts] = ['threads', 'starts'].map((name) => countOf(values, name))
  return { subjects: chosenSubjects, ...batch, rounds, threads, starts, budget: all ? 300e3 : 45e3, out: values.out }
}

const whole = (ms) => ms.toFixed(ms < 10 ? 1 : 0)
const gib = (bytes) => `${(bytes / 2 ** 30).toFixed(2)} GiB`

/** A row a contestant, `times` as long as our fastest beside it. */
function rowsOf({ name, batch, results, flops }) {
  const own = results.find((row) => row.name === oursBy('ort-cpu') && row.median) ?? results[0]
  return results.map(({ name: who, median, quartiles = [], peakBytes, failed }, i) => [
    i === 0 ? `${name}, batch ${batch}` : '',
    who,
    ...(failed === undefined
      ? [
          whole(median),
          quartiles.map(whole).join('–'),
          own?.median ? (median / own.median).toFixed(2) : '',
          flops === undefined ? '' : whole(flops / median / 1e6),
          peakBytes === undefined ? '' : gib(peakBytes),
        ]
      : ['–', failed, '', '', '']),
  ])
}

function print(measured) {
  console.log()
  printTable([
    ['network', 'contestant', 'ms a step', 'quartiles', '× ours', 'GFLOP/s', 'peak memory'],
    ...measured.flatMap(rowsOf),
  ])
  console.log()
  printTable([
    ['network', 'what', 'got', 'must', ''],
    ...measured.flatMap(({ name, verdicts }) =>
      verdicts.map(({ what, got, must, reached }) => [
        name,
        what,
        got.toFixed(2),
        String(must),
        reached ? 'reached' : 'falls short',
      ]),
    ),
  ])
}

async function main() {
  const { subjects: chosen, out, ...options } = readOptions()
  const folder = temporaryFolder()
  const measured = []
  for (const [i, { name, names, ...subject }] of chosen.entries()) {
    console.log(name)
    const figures = await measure(subject, join(folder, String(i)), { ...options, names })
    measured.push({ name, ...figures, verdicts: verdicts(subject.goals ?? {}, figures) })
    // Each time: the whole takes an hour.
    writeReport(`${out}.json`, { rounds: options.rounds, networks: measured })
    writeResult(`${out}.svg`, tableSvg(measured, machineName()))
  }
  print(measured)
}

main().catch(({ message }) => fail(message))
