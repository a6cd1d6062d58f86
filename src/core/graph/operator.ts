// What an operator is: one record with its attributes, shape rule, gradient, reference evaluation and samples.

import type { Graph } from './graph.js'
import type { Sample } from './sample.js'
import type { Shape } from './shape.js'
import { type DType, keyOf, type Numbers, type Tensor } from './tensor.js'
import type { Value } from './value.js'

/** The type of a value. */
export interface Type {
  readonly dtype: DType
  readonly shape: Shape
}

/**
 * A graph inside an operator, such as the body of a Loop. Its inputs stand at the places of the operands that they have the
 * types of. The last `captured` of them are values of the graph around it: operands of the node here, while ONNX lets a
 * body use them by their names.
 */
export interface Body {
  readonly graph: Graph
  readonly captured: number
}

interface AttributeTypes {
  int: number
  float: number
  string: string
  ints: readonly number[]
  floats: readonly number[]
  strings: readonly string[]
  tensor: Tensor | Numbers
  graph: Body
}
export type AttributeKind = keyof AttributeTypes
export type AttributeValue = AttributeTypes[AttributeKind]

export const isBody = (value: AttributeValue | undefined): value is Body =>
  typeof value === 'object' && 'graph' in value

/** Text that two attributes share only if they are the same, of those that hold no graph. */
export const attributeKey = (value: AttributeValue | undefined): string =>
  typeof value === 'object' && 'dtype' in value ? keyOf(value) : JSON.stringify(value ?? null)

/** One attribute: required, with a default, or optional (absent when not given). */
export interface AttributeSpec<K extends AttributeKind = AttributeKind, O extends boolean = boolean> {
  readonly kind: K
  readonly optional: O
  readonly default?: AttributeTypes[K]
}
export type AttributeSpecs = Readonly<Record<string, AttributeSpec>>
export type Attributes = Readonly<Record<string, AttributeValue | undefined>>

export type AttributesOf<S extends AttributeSpecs> = {
  readonly [K in keyof S]: S[K]['optional'] extends true
    ? AttributeTypes[S[K]['kind']] | undefined
    : AttributeTypes[S[K]['kind']]
}

/** The domain of ONNX's own operators, and the one of the training primitives that ONNX lacks. */
export const ONNX_DOMAIN = ''
export const TRAINING_DOMAIN = 'rdm.training'
/** Operators that ONNX tries out: composites here, whose bodies are what is written. */
export const PREVIEW_DOMAIN = 'ai.onnx.preview'
export const PREVIEW_TRAINING_DOMAIN = 'ai.onnx.preview.training'
/** The operators of classical machine learning: composites as well, whose bodies are what is written. */
export const ML_DOMAIN = 'ai.onnx.ml'

export interface GradientContext<A> {
  readonly inputs: readonly Value[]
  readonly outputs: readonly Value[]
  readonly attributes: A
  /** The gradient that has arrived at each output; undefined where none has. */
  readonly grads: readonly (Value | undefined)[]
  /** The gradient at the first output. Rules of operators with one differentiable output use this. */
  readonly grad: Value
  /**
   * Carries gradients at some values back to others: one a value of `inputs`, undefined where nothing arrives. For operators
   * that hold graphs.
   */
  pullBack(
    outputs: readonly Value[],
    inputs: readonly (Value | undefined)[],
    grads: readonly (Value | undefined)[],
  ): readonly (Value | undefined)[]
}

/**
 * A rule: one Value an input, or undefined where nothing flows; `body`: that of the operator's body; zero (piecewise constant,
 * nothing flows back); or forbidden, with the reason and what to do instead.
 */
export type Gradient<A> =
  | { rule(context: GradientContext<A>): readonly (Value | undefined)[] }
  | 'body'
  | 'zero'
  | { readonly forbidden: string }

/**
 * What versions of a domain older than an operator's record have in its place. A constant input of the record may be an
 * attribute in them; the rest of what they lack is said otherwise.
 */
export interface OlderForm<A> {
  /** Inputs that are attributes of whole numbers, by the attribute's name: their places in the record. */
  readonly inputsAsAttributes?: Readonly<Record<string, number>>
  /** The most inputs, where it takes fewer than the record. */
  readonly mostInputs?: number
  /** Attributes that the record alone has. */
  readonly lacks?: readonly string[]
  /**
   * What takes the place of a node that needs what is lacking, as in `Replace`; undefined where it needs none of it.
   * @param version the one that is written
   */
  instead(inputs: readonly (Value | undefined)[], attributes: A, version: number): readonly Value[] | undefined
}

/**
 * What older versions had under the operator's name, where it is more than a narrower range of types: read by its own attributes
 * and said in today's operators.
 */
export interface Older<S extends AttributeSpecs = AttributeSpecs> {
  /** The last version of the domain that has it. */
  readonly until: number
  readonly attributes: S
  /**
   * One Value an output, or undefined where today's record takes the same inputs and attributes.
   * @param outputs how many the file names, which means something in some
   */
  read(
    inputs: readonly (Value | undefined)[],
    attributes: AttributesOf<S>,
    outputs: number,
  ): readonly Value[] | undefined
  readonly graphs?: GraphRules
}
/** Identity with inference: gives a form its precise attribute types. */
export const older = <const S extends AttributeSpecs>(form: Older<S>): Older => form as Older

/** Of an operator that holds graphs: what these get. `attributes` are those beside the graphs. */
export interface GraphRules {
  /** The types at the inputs of a graph, before what it captures. */
  given(attribute: string, inputs: readonly (Value | undefined)[], attributes: Attributes): readonly Type[]
  /** Wider types, where a graph gives back other shapes than it gets; undefined where it does not. */
  widen?(body: Body, given: readonly Type[]): readonly Type[] | undefined
  /** The one graph that is all that the node does, where that is known. */
  only?(inputs: readonly (Value | undefined)[]): string | undefined
  /** The one graph that does what the node does wherever the node runs at all, as its graphs show. */
  implied?(inputs: readonly (Value | undefined)[], attributes: Attributes): string | undefined
}

/** What a file says of the function that stands for an operator. */
export interface Doc {
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** The formula in these names, and where it is from. */
  readonly text: string
}

/**
 * One operator. The engine sums the gradients that a rule gives over broadcast axes, accumulates and prunes. `evaluate` computes
 * in float64 and is the oracle of every test.
 */
export interface Operator<S extends AttributeSpecs = AttributeSpecs> {
  readonly name: string
  readonly domain: string
  /** The version of its domain that made it what the record says, types of elements included that a graph can have. */
  readonly since: number
  /** The last version of its domain that has it; all later ones too unless given. */
  readonly until?: number
  /**
   * Given where `since` is past the oldest version that is written (src/core/onnx/opsets.ts) and no body says it: 'nothing' where
   * older versions have no way to.
   */
  readonly before?: OlderForm<AttributesOf<S>> | 'nothing'
  /** What files of older versions have under its name, oldest first. */
  readonly older?: readonly Older[]
  /** Of an operator that ONNX lacks, and that is a function in files. */
  readonly doc?: Doc
  readonly attributes: S
  /** Fewest and most inputs. */
  readonly arity: readonly [number, number]
  /** How many outputs a file names at least; those after them it may leave out where nobody uses them. All unless given. */
  readonly requiredOutputs?: number
  /** Places of the inputs and outputs between which a gradient flows; all that hold floating-point numbers unless given. */
  readonly differentiable?: { readonly inputs?: readonly number[]; readonly outputs?: readonly number[] }
  /**
   * Rounds, and its gradient takes the rounding for the identity (a straight-through estimate). Its outputs of whole numbers stand
   * for floats: they carry a gradient, a float of what they stand for.
   */
  readonly straightThrough?: boolean
  /** Takes each number for itself, wherever it stands: a target may lay its operands out otherwise, or put them together. */
  readonly elementwise?: boolean
  /** Draws at random: every runtime has numbers of its own, and each node draws for itself. */
  readonly random?: boolean
  /** What it does in other operators, for one that is made of them (graph/composite.ts): one Value an output. */
  body?(inputs: readonly Value[], attributes: AttributesOf<S>): readonly Value[]
  /**
   * What its attributes come to beside its inputs, where a usual value depends on those: strides of as many axes, pads in the
   * place of auto_pad.
   * @param attributes with the usual values of the record
   * @param given those alone that were given
   */
  complete?(inputs: readonly (Value | undefined)[], attributes: AttributesOf<S>, given: Attributes): AttributesOf<S>
  readonly graphs?: GraphRules
  /** Output types. Throws a GraphError that says the broken rule; inputs may be undefined only past the fewest. */
  infer(inputs: readonly Value[], attributes: AttributesOf<S>): readonly Type[]
  /**
   * The whole numbers that come out, in row-major order, where the operator computes with dimensions: numbers, or symbols of
   * the inputs' shapes. One an output; undefined where nothing is known. What only takes numbers need not be said: it is
   * evaluated (graph/dims.ts).
   */
  dims?(
    inputs: readonly Value[],
    attributes: AttributesOf<S>,
    known: (value: Value | undefined) => Shape | undefined,
  ): readonly (Shape | undefined)[]
  gradient: Gradient<AttributesOf<S>>
  /** What comes out, in float64: the reference. */
  evaluate(inputs: readonly Numbers[], attributes: AttributesOf<S>): readonly Numbers[]
  /** Inputs on which the gradient table and the runtime comparison try the operator; none for one outside the registry. */
  readonly samples: readonly Sample<AttributesOf<S>>[]
}

/** What a record of the registry has: at least one sample. */
export interface Tried<S extends AttributeSpecs> {
  readonly samples: readonly [Sample<AttributesOf<S>>, ...Sample<AttributesOf<S>>[]]
}

/** Identity with inference: gives a record its precise attribute types. */
export const operator = <const S extends AttributeSpecs>(record: Operator<S> & Tried<S>): Operator<S> => record

/** A training primitive. */
export interface Primitive<S extends AttributeSpecs = AttributeSpecs> extends Operator<S> {
  readonly doc: Doc
}

/** As `operator`, for a training primitive. */
export const primitive = <const S extends AttributeSpecs>(record: Primitive<S> & Tried<S>): Primitive<S> => record

export const required = <K extends AttributeKind>(kind: K): AttributeSpec<K, false> => ({ kind, optional: false })
export const optional = <K extends AttributeKind>(kind: K): AttributeSpec<K, true> => ({ kind, optional: true })
/** An attribute that is a whole number, with what it is where a node does not say. */
export const int = (value: number): AttributeSpec<'int', false> => ({ kind: 'int', optional: false, default: value })
/** An attribute that is a number, with what it is where a node does not say. */
export const float = (value: number): AttributeSpec<'float', false> => ({
  kind: 'float',
  optional: false,
  default: value,
})
export const string = (value: string): AttributeSpec<'string', false> => ({
  kind: 'string',
  optional: false,
  default: value,
})
