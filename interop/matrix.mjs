// The matrix: what each runtime makes of inference and of the training step, measured, and as a table of Markdown.

import { cpus } from 'node:os'
import { forms, modelsOf, standardFiles } from './nets.mjs'
import { attempt, inferenceDifference, TOLERANCE, trainingDifference } from './trial.mjs'

/** Steps of which the numbers are compared. */
export const COMPARED = 3
const TIMED = 10

/** Seconds a step of rdm8: the fastest, which other work on the machine disturbs least. */
const secondsOf = ({ steps }) => Math.min(...steps.map(({ seconds }) => seconds))
export const timed = async (runtime, folder, form) =>
  secondsOf(await attempt(runtime, folder, 'rdm8', form, runtime.steps ?? TIMED))

/** Why a runtime does not take a form of the training step, in its own words where it has any; undefined where it takes it. */
async function obstacle(runtime, folder, form, expected) {
  try {
    if (runtime.refuses) {
      await runtime.refuses(modelsOf(folder, 'rdm8', form))
      return undefined
    }
    await attempt(runtime, folder, 'rdm8', form, 1)
    const difference = trainingDifference(await attempt(runtime, folder, 'tiny', form, COMPARED), expected)
    return difference <= TOLERANCE ? undefined : `its numbers are wrong (${formatNumber(difference)})`
  } catch ({ message }) {
    const said = runtime.complaint?.exec(message)?.[0] ?? message.split('\n').findLast((line) => line.trim())
    return `\`${said.replace(/\s+/g, ' ').replaceAll('`', "'").trim()}\``
  }
}

/** The forms that ask more of a runtime than the one it takes; all of them where it takes none. */
const harder = ({ form }) => {
  const names = Object.keys(forms)
  return form === undefined ? names : names.slice(0, Math.max(0, names.indexOf(form)))
}

/** Everything about one runtime. @throws Error in its own words when its example fails */
export async function measure(runtime, folder, expected) {
  const result = await attempt(runtime, folder, 'tiny', runtime.form ?? 'inline', COMPARED)
  await runtime.check?.(standardFiles(folder))
  const obstacles = []
  for (const form of harder(runtime)) obstacles.push([form, await obstacle(runtime, folder, form, expected)])
  const trains = runtime.form !== undefined
  return {
    inference: inferenceDifference(result, expected),
    training: trains ? trainingDifference(result, expected) : undefined,
    seconds: trains && runtime.steps !== 0 ? await timed(runtime, folder, runtime.form) : undefined,
    obstacles: obstacles.filter(([, message]) => message !== undefined),
  }
}

const formatNumber = (value) => (Number.isNaN(value) ? 'other right answers' : value.toExponential(0))
const formatDifference = (value) => (value <= TOLERANCE ? formatNumber(value) : `**wrong** (${formatNumber(value)})`)

function rowOf({ runtime, measured, error }) {
  const { title, version, language, sample, form } = runtime
  const name = [`${title} ${version}`, `[${language}](../examples/${sample})`]
  if (error !== undefined) return [...name, `fails: ${error}`, '', '', '']
  const { inference, training, seconds } = measured
  return [
    ...name,
    formatDifference(inference),
    training === undefined ? 'no' : formatDifference(training),
    form ?? '',
    seconds === undefined ? '' : seconds.toPrecision(2),
  ]
}

const header = ['runtime', 'sample', 'inference', 'training step', 'form', 's a step']
const line = (cells) => `| ${cells.join(' | ')} |`

/** The table alone. */
export const tableOf = (results) =>
  [line(header), line(header.map(() => '---')), ...results.map((result) => line(rowOf(result)))].join('\n')

function obstaclesOf({ runtime, measured }) {
  const what = { functions: 'local functions', inline: 'level standard', basic: 'level basic' }
  return (measured?.obstacles ?? []).map(
    ([form, message]) => `- ${runtime.title} ${runtime.version}, ${what[form]}: ${message}`,
  )
}

/** docs/runtimes.md. `levels`: seconds a step in ONNX Runtime for Node at each level. */
export const documentOf = (results, levels) => `# Runtimes

Where the files of \`rdm-export\` train and predict. \`npm run interop\` installs these runtimes, runs the examples in them, and
writes this page; \`npm run interop -- tract openvino\` runs some.

${tableOf(results)}

**inference** and **training step** are largest differences from the float64 reference evaluation, of a network of 8 layers (r = 2,
widths 2, 2, 4) and batches of 32 images: of the probabilities of a batch; and over three steps of training, of the losses and of
every weight, momentum and running statistic after the third, with the count of right answers the same in each step. The
difference of a tensor is max |a − b| / max |b|, where a momentum that is nowhere larger than 0.05, or another tensor nowhere larger
than 0.001, counts as if it were so large: a gradient that is nothing but rounding has no digits to compare. Up to ${TOLERANCE} is right.
All runtimes begin with the same state and take the same images, each four times, so chosen that no activation is so near to zero
that rounding decides on which side of a ReLU it falls: a single one that does moves a gradient by some thousandths.

**form** is the first of these that the runtime takes: \`functions\` as exported, \`inline\` with \`--inline\`, \`basic\` with
\`--inline --portable-level basic\`; older and other builds get \`opset 13\`, which is \`--inline --opset 13\`, and \`ort-training\`,
which is \`--target ort-training\`. **s a step** is the fastest of ten steps (of two in ONNX's own evaluator) of rdm8 (widths 16, 32,
64) with 32 images, on ${cpus().length} cores of ${cpus()[0].model.trim()}, threads as the runtime has it.

Level basic takes ${levels.basic.toPrecision(2)} s a step in ONNX Runtime for Node, where the standard one takes ${levels.inline.toPrecision(2)} s.

Each sample is the same program: it draws first weights, takes ten steps with images of a CIFAR-10 file, feeding back what comes
out, and prints the loss of each; then it predicts.

## What stands in the way

Of forms that a runtime does not take, in its own words:

${results.flatMap(obstaclesOf).join('\n')}

WebGPU runs here on an adapter in software (SwiftShader), so its time would say nothing. ONNX's own library also checks all parts
in all forms: its checker with all checks, strict shape inference, and that it would write the same bytes.
`
