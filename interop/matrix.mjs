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

/**
 * Why a runtime does not take a form of the training step, in its own words where it has any; undefined where it takes it.
 * @param names of networks: one that it has to run, where another than the last, whose numbers are compared
 */
async function obstacle(runtime, folder, form, expected, names) {
  try {
    if (runtime.refuses) {
      await runtime.refuses(modelsOf(folder, names[0], form))
      return undefined
    }
    if (names.length > 1) await attempt(runtime, folder, names[0], form, 1)
    const result = await attempt(runtime, folder, names.at(-1), form, COMPARED)
    const difference = trainingDifference(result, expected)
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
  for (const form of harder(runtime))
    obstacles.push([form, await obstacle(runtime, folder, form, expected, ['rdm8', 'tiny'])])
  const trains = runtime.form !== undefined
  return {
    inference: inferenceDifference(result, expected),
    training: trains ? trainingDifference(result, expected) : undefined,
    seconds: trains && runtime.steps !== 0 ? await timed(runtime, folder, runtime.form) : undefined,
    obstacles: obstacles.filter(([, message]) => message !== undefined),
  }
}

/**
 * What a runtime makes of the network that is not ours: in the first form that it takes, which need not be that of our networks;
 * in the last of all, where it takes none.
 */
export async function measureForeign(runtime, folder, expected) {
  const tried = runtime.form === undefined || runtime.form in forms ? Object.keys(forms) : [runtime.form]
  const obstacles = []
  for (const form of tried) {
    const message = await obstacle(runtime, folder, form, expected, ['resnet18'])
    if (message === undefined) break
    obstacles.push([form, message])
  }
  const taken = tried[obstacles.length]
  const result = await attempt(runtime, folder, 'resnet18', taken ?? tried.at(-1), COMPARED)
  return {
    inference: inferenceDifference(result, expected),
    training: taken && trainingDifference(result, expected),
    form: taken,
    obstacles,
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

function foreignRowOf({ runtime, foreign }) {
  const { inference, training, form } = foreign
  const trains = training === undefined ? 'no' : formatDifference(training)
  return [`${runtime.title} ${runtime.version}`, formatDifference(inference), trains, form ?? '']
}

/** The same of the network that is not ours. */
export const foreignTableOf = (results) => {
  const measured = results.filter(({ foreign }) => foreign)
  const head = ['runtime', 'inference', 'training step', 'form']
  return [line(head), line(head.map(() => '---')), ...measured.map((result) => line(foreignRowOf(result)))].join('\n')
}

function obstaclesOf({ title, version }, obstacles = []) {
  const what = { functions: 'local functions', inline: 'level standard', basic: 'level basic' }
  return obstacles.map(([form, message]) => `- ${title} ${version}, ${what[form] ?? form}: ${message}`)
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

## A network of someone else

torchvision's resnet18 with few channels, as PyTorch exported it ([file](../test/fixtures/networks/resnet18.script.onnx)): derived as by
\`rdm-derive --normalize cifar10\` (cross-entropy, SGD with momentum; the exporter has folded its batch norms), trained five steps by
\`rdm-fit\`, and the parts of the trained file, \`rdm-derive --part init\`, \`train\` and \`infer\`, given to the same programs: three further
steps from the trained weights, compared as above. **form** is the first that the runtime takes.

${foreignTableOf(results)}

So nothing but a form is needed: no size of the batch is fixed, and no opset is asked for but by ONNX Runtime 1.6. Of forms that are not
taken:

${results.flatMap(({ runtime, foreign }) => obstaclesOf(runtime, foreign?.obstacles)).join('\n')}

On WebGPU, in software here, the network that predicts is wrong already, in the file of the exporter's own operators: no step could be
right. The places of a maximum (\`Indices\`) are what the standard level asks of rten, TVM and WebGPU in vain; level basic finds them by
comparisons.

## What stands in the way

Of forms that a runtime does not take, in its own words:

${results.flatMap(({ runtime, measured }) => obstaclesOf(runtime, measured?.obstacles)).join('\n')}

WebGPU runs here on an adapter in software (SwiftShader), so its time would say nothing. ONNX's own library also checks all parts
in all forms: its checker with all checks, strict shape inference, and that it would write the same bytes.
`
