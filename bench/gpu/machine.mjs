// What the machine is: the doctor's findings, nvidia-smi's facts, PyTorch's version.

import { ours, python } from './processes.mjs'

const facts = ['name', 'driver_version', 'memory.total', 'power.limit', 'clocks.max.sm', 'clocks.sm']

async function graphicsCard(processes) {
  const out = await processes.run(['nvidia-smi', [`--query-gpu=${facts.join(',')}`, '--format=csv,noheader', '--id=0']])
  return Object.fromEntries(
    out
      .trim()
      .split(', ')
      .map((value, i) => [facts[i], value]),
  )
}

const versions =
  'import json, torch; print(json.dumps({"torch": torch.__version__, "cuda": torch.version.cuda, ' +
  '"cudnn": torch.backends.cudnn.version(), "gpu": torch.cuda.is_available()}))'

export async function machine(report, processes) {
  const [interpreter] = python('', [])
  const questions = {
    doctor: async () => JSON.parse(await processes.run(ours('rdm-doctor', ['--json']))),
    gpu: () => graphicsCard(processes),
    python: async () => JSON.parse(await processes.run([interpreter, ['-c', versions]])),
  }
  await Promise.all(
    Object.entries(questions).map(async ([name, ask]) => {
      report[name] = await ask().catch(({ message }) => ({ failed: message }))
    }),
  )
}

/** Names with what they say, one a row: an answer within an answer as JSON. */
export const machineTable = ({ doctor, gpu, python }) =>
  Object.entries({ doctor, gpu, python }).map(([name, found]) => [
    name,
    JSON.stringify(found ?? 'not finished').slice(0, 600),
  ])
