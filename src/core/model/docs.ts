// What a file says of itself in words: doc strings for viewers. No reader needs them, none keeps them.

import type { Docs } from '../onnx/write.js'
import { LEARNING_RATE, type Roles } from '../training/signature.js'
import { FUNCTION_GATES, keys } from './metadata.js'

type Texts = Readonly<Record<string, string>>

const isImages = ({ dtype, shape }: Roles['inputs'][number]): boolean => dtype === 'uint8' && shape.length === 4

/** What the network is called. */
const kindOf = ({ inputs, targets }: Roles): string =>
  inputs.some(isImages) && targets.some(({ classes }) => classes !== undefined) ? 'an image classifier' : 'a network'

/** What a network takes and gives. */
const networkValues = ({ inputs }: Roles): Texts => ({
  ...Object.fromEntries(
    inputs
      .filter(isImages)
      .map(({ name }) => [name, 'Pixels from 0 to 255, channels red, green, blue. They are normalized inside.']),
  ),
  logits: 'Scores of the classes, before softmax.',
  probabilities: 'Probabilities of the classes: softmax of the logits.',
  [FUNCTION_GATES]: 'What the output of each residual function is multiplied by, block by block; 1 unless given.',
})

const metricTexts = {
  right: 'How many examples of the batch were answered right; in training, before the update.',
  mean: 'A metric: the mean over the batch; in training, before the update.',
  r2: 'The mean squared error of the batch; in training, before the update.',
} as const

const stepValues = (roles: Roles): Texts => ({
  ...networkValues(roles),
  ...Object.fromEntries(
    roles.targets.map(({ name, classes }) => [
      name,
      classes === undefined ? 'What the loss compares the outputs with.' : 'The class of each example, counted from 0.',
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(roles.hyperparameters).map(([name, value]) => [
      name,
      `A hyperparameter of this step${value === null ? '' : `; ${value} unless given`}.`,
    ]),
  ),
  [LEARNING_RATE]: 'The learning rate of this step.',
  [roles.loss]: 'The loss, a mean over the batch; in training, before the update.',
  ...Object.fromEntries(roles.metrics.map(({ output, kind }) => [output, metricTexts[kind]])),
  ...(roles.gates && {
    [roles.gates.name]:
      'For each gated block 1, which keeps its residual functions, or 0, which drops them: drawn anew for each step, with the ' +
      'probabilities in the metadata.',
  }),
  ...(roles.seeds === undefined
    ? {}
    : { [roles.seeds]: 'Four whole numbers below 509, drawn anew for each step: what dropout is drawn from.' }),
})

const lookUp = (values: Texts) => (name: string) => (Object.hasOwn(values, name) ? values[name] : undefined)

/** The inputs, outputs and nodes of a training step. */
const ofStep = (roles: Roles): Pick<Docs, 'value' | 'node'> => {
  const known = lookUp(stepValues(roles))
  return {
    value: (name) => known(name) ?? (name.endsWith('.next') ? `Next value of ${name.slice(0, -5)}.` : undefined),
    node: (name) => (name.endsWith('/again/zero') ? 'Makes the repetition wait for the backward pass.' : undefined),
  }
}

const graphs = {
  network: (roles: Roles) =>
    kindOf(roles) === 'an image classifier'
      ? 'From images to the probabilities of classes.'
      : 'The network that predicts.',
  step:
    'One step of training: forward with the statistics of the batch, loss, backward, update. What the backward pass computes again ' +
    '(NAME/again) need not be kept until then.',
  initialization: 'Draws first values of the weights and of all other state: NAME.initial is that of NAME.',
}

/** Of a whole file. */
export const fileDocs = (network: string, roles: Roles): Docs => ({
  model:
    `${network}, ${kindOf(roles)} that can be trained: graph is the network, training_info.initialization draws first weights, ` +
    'training_info.algorithm is the training step, which rdm-export --part train writes as a model of its own.',
  graph: graphs.network(roles),
  step: graphs.step,
  initialization: graphs.initialization,
  ...ofStep(roles),
})

/** Of its parts. */
export const networkDocs = (network: string, roles: Roles): Docs => ({
  model: `${network}, ${kindOf(roles)}.`,
  graph: graphs.network(roles),
  value: lookUp(networkValues(roles)),
})
export const stepDocs = (network: string, roles: Roles): Docs => ({
  model: `The training step of ${network}, ${kindOf(roles)}. After each step every output NAME.next takes the place of the input NAME (metadata ${keys.carried}).`,
  graph: graphs.step,
  ...ofStep(roles),
})
export const initializationDocs = (network: string): Docs => ({
  model: `First values of the training step of ${network} (metadata ${keys.initial} says of which inputs).`,
  graph: graphs.initialization,
})

const api = "ONNX Runtime's training API"

/** Of the models for the training API. */
export const trainingModelDocs = (network: string, roles: Roles): Docs => ({
  model: `The training model of ${network}, ${kindOf(roles)}, for ${api}.`,
  graph:
    'Forward, loss and backward. The gradient of each weight NAME is added to NAME_grad.accumulation.buffer; running statistics are ' +
    'moved in place. The outputs NAME_grad.accumulation.out say that it is done.',
  value: lookUp({
    ...stepValues(roles),
    lazy_reset_grad:
      'Whether gradients take the place of the sums in their buffers, as they do after the optimizer has used these.',
  }),
})
export const evaluationModelDocs = (network: string, roles: Roles): Docs => ({
  model: `The evaluation model of ${network}, ${kindOf(roles)}, for ${api}.`,
  graph: 'Forward with the running statistics, and the loss.',
  value: lookUp(stepValues(roles)),
})
export const optimizerDoc = (optimizer: string): string =>
  `The optimizer model (${optimizer}) for ${api}: it changes all parameters in place.`
