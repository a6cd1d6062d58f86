// What a file says of itself in words: doc strings for viewers. No reader needs them, none keeps them.

import type { Docs } from '../onnx/write.js'
import { FUNCTION_GATES, keys, type StepNames } from './metadata.js'

/** What a network takes and gives. */
const networkValues = (images: string): Readonly<Record<string, string>> => ({
  [images]: 'Pixels from 0 to 255, channels red, green, blue. They are normalized inside.',
  logits: 'Scores of the classes, before softmax.',
  probabilities: 'Probabilities of the classes: softmax of the logits.',
  [FUNCTION_GATES]: 'What the output of each residual function is multiplied by, block by block; 1 unless given.',
})

const stepValues = (names: StepNames): Readonly<Record<string, string>> => ({
  ...networkValues(names.images),
  [names.labels]: 'The class of each image, counted from 0.',
  [names.learningRate]: 'The learning rate of this step.',
  [names.loss]: 'Mean cross-entropy over the batch, in nats; in training, before the update.',
  [names.correct]: 'How many images of the batch were classified right; in training, before the update.',
  ...(names.gates && {
    [names.gates.name]:
      'For each gated block 1, which keeps its residual functions, or 0, which drops them: drawn anew for each step, with the ' +
      'probabilities in the metadata.',
  }),
})

const lookUp = (values: Readonly<Record<string, string>>) => (name: string) =>
  Object.hasOwn(values, name) ? values[name] : undefined

/** The inputs, outputs and nodes of a training step. */
const ofStep = (names: StepNames): Pick<Docs, 'value' | 'node'> => {
  const known = lookUp(stepValues(names))
  return {
    value: (name) => known(name) ?? (name.endsWith('.next') ? `Next value of ${name.slice(0, -5)}.` : undefined),
    node: (name) => (name.endsWith('/again/zero') ? 'Makes the repetition wait for the backward pass.' : undefined),
  }
}

const graphs = {
  network: 'From images to the probabilities of classes.',
  step:
    'One step of stochastic gradient descent: forward with the statistics of the batch, cross-entropy, backward, update. What the ' +
    'backward pass computes again (NAME/again) need not be kept until then.',
  initialization: 'Draws first values of the weights and of all other state: NAME.initial is that of NAME.',
}

/** Of a whole file. */
export const fileDocs = (network: string, names: StepNames): Docs => ({
  model:
    `${network}, an image classifier that can be trained: graph is the network, training_info.initialization draws first weights, ` +
    'training_info.algorithm is the training step, which rdm-export --part train writes as a model of its own.',
  graph: graphs.network,
  step: graphs.step,
  initialization: graphs.initialization,
  ...ofStep(names),
})

/** Of its parts. */
export const networkDocs = (network: string, images: string): Docs => ({
  model: `${network}, an image classifier.`,
  graph: graphs.network,
  value: lookUp(networkValues(images)),
})
export const stepDocs = (network: string, names: StepNames): Docs => ({
  model: `The training step of ${network}, an image classifier. After each step every output NAME.next takes the place of the input NAME (metadata ${keys.carried}).`,
  graph: graphs.step,
  ...ofStep(names),
})
export const initializationDocs = (network: string): Docs => ({
  model: `First values of the training step of ${network} (metadata ${keys.initial} says of which inputs).`,
  graph: graphs.initialization,
})

const api = "ONNX Runtime's training API"

/** Of the models for the training API. */
export const trainingModelDocs = (network: string, names: StepNames): Docs => ({
  model: `The training model of ${network}, an image classifier, for ${api}.`,
  graph:
    'Forward, loss and backward. The gradient of each weight NAME is added to NAME_grad.accumulation.buffer; running statistics are ' +
    'moved in place. The outputs NAME_grad.accumulation.out say that it is done.',
  value: lookUp({
    ...stepValues(names),
    lazy_reset_grad:
      'Whether gradients take the place of the sums in their buffers, as they do after the optimizer has used these.',
  }),
})
export const evaluationModelDocs = (network: string, names: StepNames): Docs => ({
  model: `The evaluation model of ${network}, an image classifier, for ${api}.`,
  graph: 'Forward with the running statistics, and the loss.',
  value: lookUp(stepValues(names)),
})
export const optimizerDoc = (optimizer: string): string =>
  `The optimizer model (${optimizer}) for ${api}: it changes all parameters in place.`
