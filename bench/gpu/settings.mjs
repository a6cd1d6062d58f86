// What the parts of the GPU benchmark are told, and the options of rdm-fit that follow from it.

import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { synthesize, writeCifar10 } from 'rdm-onnx'
import { fail, networkOf } from '../common.mjs'

/** A tenth of the recipe's first rate, as in bench/subjects.mjs, and for its reason. */
export const LEARNING_RATE = 1e-3

const repository = fileURLToPath(new URL('../..', import.meta.url))

/** CIFAR-10 where it lies, undefined where it does not. */
export function findData() {
  const given = process.env.DATA
  if (given && !existsSync(given)) fail(`there is no folder ${given}: DATA names that of CIFAR-10's binary version`)
  const usual = join(repository, '..', 'shared', 'cifar-10-batches-bin')
  return given || (existsSync(usual) ? usual : undefined)
}

/** The folder of the training data: CIFAR-10, or as many images as the benchmark needs. */
export async function dataFolder({ small }, scratch) {
  const found = small ? undefined : findData()
  if (found !== undefined) return found
  const folder = join(scratch, 'data')
  // Whole batches of 128, so that all steps of an epoch take the same kernels.
  const counts = small ? { train: 256, test: 40 } : { train: 51_200, test: 1000 }
  await writeCifar10(folder, synthesize({ ...counts, seed: 1 }))
  return folder
}

/** The networks of a part; at small size with one block a stage. */
export const network = (arch, { small }) => networkOf({ arch, ...(small ? { blocks: '1,1,1' } : {}) })

/** Threads of everything that is measured; at small size one, since the machine may be a small one. */
export const threadsOf = ({ small, threads = availableParallelism() }) => (small ? 1 : threads)

/**
 * rdm-fit's options for our step.
 * @param precision `fp32` or `fp16`
 */
export function stepOptions(settings, precision = 'fp32') {
  const { ep, target, stepsPerRun, batch } = settings
  const common = ['--ep', ep, '--target', target, '--batch', batch, '--threads', threadsOf(settings)]
  if (target !== 'ort-cuda') return common
  const device = ep === 'cuda' ? ['--device', '0'] : []
  return [...common, ...device, '--precision', precision, ...(stepsPerRun ? ['--steps-per-run', stepsPerRun] : [])]
}

/** The portable target has no half precision. */
export const precisions = ({ target }) => (target === 'ort-cuda' ? ['fp32', 'fp16'] : ['fp32'])
