// What the machine is: the doctor's findings, nvidia-smi's facts, PyTorch's version.

import { short } from '../common.mjs'
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

const said = ({ failed, ...found }, of = Object.values(found).join(', ')) => failed ?? of

/** A line for each that answered. */
export function machineTable({ doctor = {}, gpu = {}, python = {} }) {
  const trials = Object.entries(doctor.trials ?? {}).map(([name, trial]) => `${name}: ${trial?.said ?? 'not tried'}`)
  const { torch, cuda, cudnn, gpu: sees } = python
  return [
    ['nvidia-smi', said(gpu)],
    ['PyTorch', said(python, `${torch}, CUDA ${cuda}, cuDNN ${cudnn}, ${sees ? 'sees a GPU' : 'sees no GPU'}`)],
    ['ONNX Runtime', said(doctor, `${doctor.runtime?.version}; ${trials.join('; ')}`)],
    ['doctor', said(doctor, [...(doctor.diagnosis?.problems ?? []), ...(doctor.diagnosis?.advice ?? [])].join('; '))],
  ].map(([name, text]) => [name, short(text)])
}
