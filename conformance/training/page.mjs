// docs/networks.md.

/** What is compared of two steps: everything within this, relative. */
export const WITHIN = 1e-4

const words = (said) =>
  said.length === 0 ? '' : `\`${said.map((word) => (/[*;]/.test(word) ? `'${word}'` : word)).join(' ')}\``

/** What a row says that no machine rounds: tests compare it. */
export const stepsStart = ({ name, exporter, flags }, { compared, others, refused }) =>
  `| ${name} | ${exporter} | ${words(flags)} | ${refused ? '' : `${compared} of ${compared + others.length}`} |`

const power = (value) => (value < 1e-15 ? '0' : value.toExponential(0).replace('e', ' · 10^').replace(/^1 · /, ''))

export function stepsRow(network, result) {
  const { refused, loss, weights } = result
  return `${stepsStart(network, result)} ${refused ? ` | refused: ${refused}` : `${power(loss)} | ${power(weights)}`} |`
}

const score = ({ loss, error }) =>
  `${loss.toPrecision(3)}${error === undefined ? '' : ` (${(100 * error).toFixed(1)} %)`}`

export const tuningRow = ({ name, exporter, tuning }, { said, before, after, milliseconds }) =>
  `| ${name} | ${exporter} | ${tuning.task} | ${words(said)} | ${score(before)} | ${score(after)} | ${milliseconds.toFixed(0)} |`

export const pageOf = (steps, tunings) => `# Networks of others, trained

\`npm run networks\` derives training steps from files that other exporters wrote, compares three of them with what the network's own
library makes of the same numbers, fine-tunes each network with \`rdm-fit\`, and writes this page. The files and the library's numbers
are in test/fixtures/networks, made by conformance/exports.py: the networks are narrow ones with random weights. Those taken as published
are fetched by test/support/realModels.sh (\`npm run conformance\` does it); without them their rows are left out.

## Three steps

SGD with momentum on one batch, by the step that \`rdm-derive\` writes with the options named, evaluated in float64 (magika in ONNX
Runtime, in float32). **weights**: those of the file that the library has too, of all that train; others are tables that an exporter made of a
parameter (relative positions, weight norm) or constants of its own. **loss**: the largest difference, as a part of the first loss. **way**: the largest
difference of a weight's length and direction of travel in three steps, as a part of that way; a weight that stays is held to 1e-8 of itself. Batch norms have their statistics frozen
and folded as exporters have it, but for batch_norm_training. scikit-learn's penalty is a weight decay of alpha / n on coefficients alone; its squared loss is half of ours (\`mse*0.5\`).
PyTorch, Keras and scikit-learn trained in float64. The published files have no source here: PyTorch ran them operator by operator.

| network | exporter | rdm-derive | weights | loss | way |
| --- | --- | --- | --- | --- | --- |
${steps.join('\n')}

keras_text is not among them: its file has two biases for each LSTM gate where Keras has one, and both train.

## Fine-tuning

256 made examples, 64 to test, 16 in a batch, Adam at 0.005, 8 epochs (magika and silero_vad at 0.001, rapidocr_cls at 0.0005; magika 2 epochs, rapidocr_cls 4): \`rdm-derive\`, \`rdm-fit\`, \`rdm-eval\`, one thread. The tasks are in
conformance/training/data.mjs: where a bright spot lies, which pixels are in a disc, which part of the vocabulary tokens are from, the next of tokens that count by three,
numbers of numbers, voices against noise, bytes of three formats, lines of letters upright or turned. Test loss, and error where the loss has one.

| network | exporter | task | rdm-derive | before | after | ms a step |
| --- | --- | --- | --- | --- | --- | --- |
${tunings.join('\n')}
`
