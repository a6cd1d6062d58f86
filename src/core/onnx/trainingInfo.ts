// A file with training information, read and validated: what onnx.checker does not look into.

import { UserError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { sameShape } from '../graph/shape.js'
import type { Tensor } from '../graph/tensor.js'
import { formatType, isParameter, type Parameter, type Value } from '../graph/value.js'
import { checkOpsets } from './opsets.js'
import { GraphReader, type ReaderOptions } from './read.js'
import type { ModelProto, StringStringEntryProto } from './schema.js'
import { isSequence, type Named } from './sequences.js'

export interface ReadModel {
  readonly inference: Graph
  /** Values of the initializers that are parameters, those of the algorithm included. */
  readonly weights: ReadonlyMap<string, Tensor>
}

export interface ReadTrainingModel extends ReadModel {
  /**
   * The training step: the inference graph and the algorithm combined, as the standard says. Its inputs are those of
   * both, its outputs those of the algorithm.
   */
  readonly step: Graph
  readonly initialization: Graph
  /** What the step replaces, in the order of the bindings; it need not use all of it. */
  readonly state: readonly Parameter[]
  /** Initializer → output of the step that replaces it. */
  readonly updates: ReadonlyMap<string, string>
  /** Initializer → output of the initialization that is its first value. */
  readonly initial: ReadonlyMap<string, string>
  /** What the step says that it is a derivative of (ONNX's Gradient), and its name. */
  readonly losses: ReadonlyMap<Value, string>
}

type Bindings = readonly StringStringEntryProto[] | null | undefined

function readBindings(bindings: Bindings, what: string): ReadonlyMap<string, string> {
  const map = new Map<string, string>()
  const sources = new Set<string>()
  for (const { key, value } of bindings ?? []) {
    if (!key || !value)
      throw new UserError(`${what}: an entry lacks its key or its value; expected an initializer and an output`)
    if (map.has(key)) throw new UserError(`${what}: '${key}' is bound twice; expected one output for each initializer`)
    if (sources.has(value))
      throw new UserError(
        `${what}: the output '${value}' is bound twice; expected an output of its own for each initializer`,
      )
    map.set(key, value)
    sources.add(value)
  }
  return map
}

/** Each key an initializer, each value an output, both of one type. */
function checkBindings(
  bindings: ReadonlyMap<string, string>,
  initializers: ReadonlyMap<string, Value>,
  outputs: ReadonlyMap<string, Value>,
  what: string,
): void {
  for (const [name, output] of bindings) {
    const target = initializers.get(name)
    const source = outputs.get(output)
    if (!target) throw new UserError(`${what}: '${name}' is no initializer of the model; bind initializers only`)
    if (!source)
      throw new UserError(
        `${what}: '${output}', bound to '${name}', is no output of the graph; list it among the outputs`,
      )
    if (target.dtype !== source.dtype || !sameShape(target.shape, source.shape)) {
      throw new UserError(
        `${what}: '${output}' is ${formatType(source)}, but '${name}' is ${formatType(target)}; expected the same type`,
      )
    }
  }
}

/**
 * Reads the inference graph of a model.
 * @param options which initializers are parameters, and how data in other files are read
 * @throws UserError naming what is wrong
 */
export function readModel(
  model: ModelProto,
  options: Pick<ReaderOptions, 'parameters' | 'constants' | 'inner' | 'external'> = {},
): ReadModel {
  const version = checkOpsets(model.opsetImport, 'the model')
  const reader = new GraphReader(model.functions ?? [], { ...options, version })
  return { inference: reader.read(model.graph ?? {}), weights: reader.weights }
}

/**
 * Reads a model and its training information, and checks the bindings.
 * @param options names of initializers that are inputs of the step, and operators beside those of the registry
 * @throws UserError naming what is missing or wrong
 */
export function readTrainingModel(
  model: ModelProto,
  options: Pick<ReaderOptions, 'defaults' | 'operators'> = {},
): ReadTrainingModel {
  const version = checkOpsets(model.opsetImport, 'the model')
  const infos = model.trainingInfo ?? []
  if (infos.length === 0) {
    throw new UserError(
      'the model has no training_info, so there is no step to train by; export one that has it, for example with `rdm-export --arch rdm56`',
    )
  }
  if (infos.length > 1)
    throw new UserError(
      `the model has ${infos.length} training_info entries; expected one: split them into files of their own`,
    )
  const { algorithm, initialization, updateBinding, initializationBinding } = infos[0]!
  if (!algorithm?.node?.length)
    throw new UserError('training_info has no algorithm: expected a graph of the training step, it is empty')
  const updates = readBindings(updateBinding, 'training_info.update_binding')
  const initial = readBindings(initializationBinding, 'training_info.initialization_binding')
  if (updates.size === 0) throw new UserError('training_info has no update_binding: the step would change nothing')

  // What training or the drawing of first values replaces is a parameter, whatever its type; the rest is constant.
  const bound = new Set([...updates.keys(), ...initial.keys()])
  const reader = new GraphReader(model.functions ?? [], { ...options, version, parameters: bound })
  const values = new Map<string, Named>()
  const inference = reader.read(model.graph ?? {}, values)
  const step = reader.read(algorithm, values, inference.inputs)
  const initializers = new Map(
    [...values].filter((entry): entry is [string, Parameter] => !isSequence(entry[1]) && isParameter(entry[1])),
  )
  checkBindings(updates, initializers, step.outputs, 'training_info.update_binding')
  const drawing = new GraphReader(model.functions ?? [], { version, parameters: new Set() })
  const first = drawing.read(initialization ?? {})
  if (first.inputs.length > 0)
    throw new UserError('training_info.initialization: the graph has inputs; expected none, its values are drawn')
  checkBindings(initial, initializers, first.outputs, 'training_info.initialization_binding')
  const state = [...updates.keys()].map((name) => initializers.get(name)!)
  return {
    inference,
    step,
    initialization: first,
    state,
    updates,
    initial,
    weights: reader.weights,
    losses: reader.losses,
  }
}
