// --lora and what belongs to it.

import type { Command } from 'commander'
import type { AdapterOptions } from '../../core/derive/adapters.js'
import { UserError } from '../../core/errors.js'
import { collectedBy, decimalNumber, parsedBy, wholeNumber } from '../command.js'
import { nameList } from '../fileOptions.js'

export interface AdapterFlags {
  readonly lora?: number
  readonly loraOn?: readonly (readonly string[])[]
  readonly loraAlpha?: number
  readonly merge?: true
  readonly adapter?: string
}

export const addAdapterOptions = (program: Command): Command =>
  program
    .option(
      '--lora <rank>',
      'low-rank adapters (LoRA) of this rank: only they train, with a new head and what --train names',
      parsedBy(wholeNumber(1, 100_000)),
    )
    .option(
      '--lora-on <patterns>',
      "layers that have them, such as '*.query,*.value' (default: all linear ones and convolutions but the last)",
      collectedBy(nameList),
    )
    .option(
      '--lora-alpha <factor>',
      'what the adapters add is scaled by factor/rank (default: the rank)',
      parsedBy(decimalNumber(1e-6, 1e6)),
    )
    .option('--merge', 'take a trained network with adapters, and write it with them merged into its weights')
    .option(
      '--adapter <file>',
      'of a trained network with adapters: write an adapter of ONNX Runtime there, and the model that takes it',
    )

/** @throws UserError for adapter options without adapters, or beside another choice of what trains */
export function adaptersFrom({
  lora,
  loraOn,
  loraAlpha,
  trainLast,
}: AdapterFlags & { readonly trainLast?: number | undefined }): AdapterOptions | undefined {
  const given = { '--lora-on': loraOn, '--lora-alpha': loraAlpha }
  const alone = Object.entries(given).find(([, value]) => value !== undefined)
  if (lora === undefined) {
    if (alone) throw new UserError(`${alone[0]} is for adapters: add --lora RANK, or leave it out`)
    return undefined
  }
  if (trainLast !== undefined)
    throw new UserError('--lora trains adapters, and --train-last the last layers: leave one of them out')
  return { rank: lora, on: loraOn?.flat(), alpha: loraAlpha }
}
