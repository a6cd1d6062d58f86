// Everything that others made, tried.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { caseNames, casesFolder } from './files.mjs'
import { attemptNetwork } from './network.mjs'
import { networkSuites } from './networks.mjs'
import { attempt } from './trial.mjs'

/** ONNX's own tests, by suite: what becomes of each. */
export function runCases(pattern = '') {
  const chosen = new RegExp(pattern)
  return caseNames.map((name) => {
    const folder = join(casesFolder(), name)
    const tests = readdirSync(folder).filter((test) => chosen.test(test))
    return { name, results: tests.sort().map((test) => ({ test, ...attempt(join(folder, test)) })) }
  })
}

/** Networks, by suite: what becomes of each. */
export async function runNetworks(pattern = '', report = () => {}) {
  const chosen = new RegExp(pattern)
  const suites = []
  for (const { name, networks } of networkSuites()) {
    const results = []
    for (const network of networks.filter(({ name }) => chosen.test(name))) {
      const result = { test: network.name, ...(await attemptNetwork(network)) }
      report(result)
      results.push(result)
    }
    suites.push({ name, results })
  }
  return suites
}
