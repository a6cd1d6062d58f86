// Tables of FlatBuffers, written without a generated class for each: fields by their places in the schema.

import type { Builder } from 'flatbuffers'

/** Writes one field of a table at its place in the schema. */
export type Field = (builder: Builder, place: number) => void

export const reference =
  (offset: number): Field =>
  (builder, place) =>
    builder.addFieldOffset(place, offset, 0)
export const int32 =
  (value: number): Field =>
  (builder, place) =>
    builder.addFieldInt32(place, value, 0)
/** A field that has the value that readers assume. */
export const absent: Field = () => {}

/** A table of these fields; what they refer to is written before. */
export function table(builder: Builder, fields: readonly Field[]): number {
  builder.startObject(fields.length)
  fields.forEach((field, place) => {
    field(builder, place)
  })
  return builder.endObject()
}

/** FlatBuffers are written from their end. */
export function references(builder: Builder, offsets: readonly number[]): number {
  builder.startVector(4, offsets.length, 4)
  for (const offset of [...offsets].reverse()) builder.addOffset(offset)
  return builder.endVector()
}

export function dimensions(builder: Builder, shape: readonly number[]): number {
  builder.startVector(8, shape.length, 8)
  for (const dim of [...shape].reverse()) builder.addInt64(BigInt(dim))
  return builder.endVector()
}
