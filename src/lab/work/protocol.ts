// What the page asks of its worker, and what comes back.

import type { FileOptions, ResidualOptions } from '../../../graphs/exported.js'
import type { Architecture } from '../../../graphs/residual.js'
import type { LayerRange } from '../../study/paths/lengths.js'
import type { Derivation, Inspection } from '../bring/inspection.js'
import type { Facts } from '../design/facts.js'
import type { Anatomy } from '../inside/anatomy.js'

/** Each job with what it takes and what it gives. */
export interface Jobs {
  /** The numbers of networks. */
  facts: { takes: { networks: readonly Architecture[]; range: LayerRange }; gives: readonly Facts[] }
  /** A model file. */
  file: { takes: { network: ResidualOptions; file: FileOptions }; gives: Uint8Array<ArrayBuffer> }
  /** What a model file is, and what of it would train. */
  inspection: { takes: { bytes: Uint8Array; choices: Derivation }; gives: Inspection }
  /** A file that trains the network of another. */
  derived: { takes: { bytes: Uint8Array; choices: Derivation }; gives: Uint8Array<ArrayBuffer> }
  /** A trained network with its adapters in its weights. */
  merged: { takes: { bytes: Uint8Array }; gives: Uint8Array }
  /** What of a network can be looked at. */
  anatomy: { takes: { bytes: Uint8Array }; gives: Anatomy }
  /** A file that gives the output of a layer, by its place among those of the anatomy. */
  revealing: { takes: { bytes: Uint8Array; layer: number }; gives: Uint8Array }
  /** A residual network with gates on its functions. */
  gated: { takes: { bytes: Uint8Array }; gives: Uint8Array }
  /** The gradient along chosen paths through a residual network. */
  paths: { takes: { bytes: Uint8Array }; gives: Uint8Array }
}
export type Job = keyof Jobs

export type Request = { [J in Job]: { readonly job: J; readonly takes: Jobs[J]['takes'] } }[Job]

/** `problem` is for people to read: what they gave does not fit. `fault` is an error of ours. */
export type Answer = { readonly gives: Jobs[Job]['gives'] } | { readonly problem: string } | { readonly fault: string }
