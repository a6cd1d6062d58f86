// docs/conformance.md.

import { operators } from '../dist/src/core/ops/index.js'
import { inOnnxAd, differentiable as ofOnnxAd } from './onnxAd.mjs'

/** Reasons by their kind: names and numbers left out. */
const kinds = [
  [/element type (?:8|string)|strings/, 'strings'],
  [/sequence|optional/, 'sequences and optionals that only the run knows'],
  [/training mode is random/, 'dropout in training mode: what is dropped is random'],
  [/beyond 2\^53/, 'whole numbers beyond 2^53, which the float64 reference cannot hold'],
]

/** A refusal's kind. */
export function kindOf(why) {
  const unknown = /the operator ([\w.]+) is not known/.exec(why)
  if (unknown) return `the operator ${unknown[1]}`
  const found = kinds.find(([pattern]) => pattern.test(why))
  return found ? found[1] : why.replace(/node '[^']*' /, '')
}

export function counted(values) {
  const counts = new Map()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
}

const gradientOf = ({ gradient, random }) => {
  if (gradient === 'zero') return random ? 'none: drawn' : 'zero'
  if (gradient === 'body') return 'through its body'
  return 'rule' in gradient ? 'yes' : `no: ${gradient.forbidden}`
}

const definitionOf = ({ since, until }) => (until === undefined ? `${since}` : `${since}, gone after ${until}`)
const olderOf = ({ older = [] }) => older.map(({ until }) => `to ${until}`).join(', ')

/** How many of a suite came out how. */
const row = ({ name, results }) => {
  const count = (verdict) => results.filter((result) => result.verdict === verdict).length
  return `| ${name} | ${['right', 'wrong', 'refused', 'drawn'].map(count).join(' | ')} |`
}

const networkRow = ({ test, verdict, why, nodes, weights }) =>
  verdict === 'right'
    ? `| ${test} | ${nodes} | ${weights} | right |`
    : `| ${test} | | | ${verdict}: ${why.replaceAll('|', '\\|')} |`

export function pageOf(suites, networks) {
  const own = operators.filter(({ domain }) => domain === '')
  const node = suites.find(({ name }) => name === 'node').results
  const rows = own.map((operator) => {
    const tests = node.filter(({ operators: used }) => used?.size === 1 && used.has(operator.name))
    const right = tests.filter(({ verdict }) => verdict === 'right').length
    return `| ${operator.name} | ${definitionOf(operator)} | ${olderOf(operator)} | ${tests.length > 0 ? `${right} of ${tests.length}` : ''} | ${gradientOf(operator)} | ${inOnnxAd(operator.name)} |`
  })
  const refused = suites.flatMap(({ results }) => results.filter(({ verdict }) => verdict === 'refused'))
  const reasons = counted(refused.map(({ why }) => kindOf(why))).map(
    ([kind, times]) => `| ${kind.replaceAll('|', '\\|')} | ${times} |`,
  )
  const differentiable = own.filter(({ gradient }) => gradient === 'body' || gradient.rule).length
  return `# Conformance

What of ONNX is read, evaluated and differentiated. \`npm run conformance\` makes ONNX's own tests (the onnx package, 1.23.2), reads each
model, evaluates it by the float64 reference, does the same and more with networks that others made, and writes this page.

| suite | right | wrong | refused | drawn |
| --- | --- | --- | --- | --- |
${[...suites, ...networks].map(row).join('\n')}

**right**: every output within 0.001 relative, as ONNX's own test runner has it, and 1e-6 absolute (wider in float16 and bfloat16).
**refused**: with one line that says why. **drawn**: the model draws random numbers, so that there is nothing to compare. \`node\` are the
tests of single operators, made from today's definitions; \`simple\`, \`pytorch-operator\` and \`pytorch-converted\` are older and lie in
the package. The networks are ONNX's light models, trained files that Python packages ship (the command fetches them, 110 MB), and exports of other libraries (\`conformance/exports.py\` makes them).

## Networks

Each is read and written again, and has to give in ONNX Runtime what the file gives there (1e-4 of the largest output; by the float64
reference too, where it has fewer than 250 million multiplications). Then the derivative of a random sum of its outputs, along a random direction
at all its inputs and weights, is compared with differences of two runs: in float64 (0.5 %), or, of large networks, in float32 (2 %). What
rounds to whole numbers inside (\`common_old\`) moves in steps: there the derivative only has to be a number other than 0. The light models have one and the same
number in all weights: for the derivative other numbers stand there, softplus in the place of ReLU, and no softmax at the end.

| network | nodes | weights | |
| --- | --- | --- | --- |
${networks.flatMap(({ results }) => results.map(networkRow)).join('\n')}

## What is refused

| reason | tests |
| --- | --- |
${reasons.join('\n')}

## Operators

${own.length} of ONNX's own operators, ${differentiable} with a gradient. **definition** is the version of ONNX's
operators whose definition is followed; versions before and after it that change nothing but element types are read as they are.
**older forms** are those of versions that said it otherwise, each up to the version named. **tests** are those node tests whose model is the operator alone. **gradient**: \`yes\`, a rule of its own; \`through its body\`, from the
operators that make it up; \`zero\`, nothing flows back (it is constant almost everywhere, or gives whole numbers). Each gradient is
tested against central differences in float64, in ONNX Runtime, and against PyTorch's where PyTorch has the operator.
BatchNormalization and Dropout have theirs in training mode too. **onnx-ad** is the Python package of that name, version 0.3.0, which differentiates
${ofOnnxAd.length} of them: by a rule, through the specification's body, written out in others, or as zero.

| operator | definition | older forms | tests | gradient | onnx-ad |
| --- | --- | --- | --- | --- | --- |
${rows.join('\n')}
`
}
