// Works beside the page, so that it answers to the pointer meanwhile. One request, one answer.

import { residualFrom, writeFile } from '../../../graphs/exported.js'
import { mergedModel } from '../../core/derive/merged.js'
import { messageOf, UserError } from '../../core/errors.js'
import { derived, inspect } from '../bring/inspection.js'
import { factsOf } from '../design/facts.js'
import { anatomyOf, gated, pathsOf, revealing } from '../inside/anatomy.js'
import type { Answer, Job, Jobs, Request } from './protocol.js'

const jobs: { readonly [J in Job]: (takes: Jobs[J]['takes']) => Jobs[J]['gives'] } = {
  facts: ({ networks, range }) => networks.map((architecture) => factsOf(architecture, range)),
  file: ({ network, file }) => new Uint8Array(writeFile(residualFrom(network), file)),
  inspection: ({ bytes, choices }) => inspect(bytes, choices),
  derived: ({ bytes, choices }) => derived(bytes, choices),
  merged: ({ bytes }) => mergedModel(bytes),
  anatomy: ({ bytes }) => anatomyOf(bytes),
  revealing: ({ bytes, layer }) => revealing(bytes, layer),
  gated: ({ bytes }) => gated(bytes),
  paths: ({ bytes }) => pathsOf(bytes),
}

const perform = <J extends Job>({ job, takes }: { job: J; takes: Jobs[J]['takes'] }) => jobs[job](takes)

function answer(request: Request): Answer {
  try {
    return { gives: perform(request) }
  } catch (error) {
    return error instanceof UserError ? { problem: error.message } : { fault: messageOf(error) }
  }
}

addEventListener('message', ({ data }: MessageEvent<Request>) => postMessage(answer(data)))
