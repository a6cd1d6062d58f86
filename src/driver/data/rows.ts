// Rows of columns, put together to the tensors of a batch.

import { messageOf, UserError } from '../../core/errors.js'
import type { Shape } from '../../core/graph/shape.js'
import { arrays, type DType, elementsOf, type Tensor, tensor, tensorOf, widen } from '../../core/graph/tensor.js'
import type { Transform } from '../../core/model/recipe.js'
import type { TargetInfo } from '../../core/training/signature.js'
import type { Binding } from './bind.js'
import type { Column, ImageFilesColumn, Split, TensorColumn } from './dataset.js'
import { imagesAt } from './images.js'
import { boxOf, type Crop, cropImage, inPlace, type Region, resizeBox } from './transforms.js'

/**
 * Decodes image files to pixels, uint8 [count, channels, height, width]; the centre of each, or the region that is given for it.
 * Where `blobs` are given, they are what is decoded, and `files` are their names.
 */
export type DecodeImages = (
  files: readonly string[],
  shape: readonly [channels: number, height: number, width: number],
  regions?: readonly Region[],
  blobs?: readonly Blob[],
) => Promise<Uint8Array>

/** The rows of a column in memory, one after the other. */
function gathered({ dtype, shape, data }: TensorColumn, indices: ArrayLike<number>): Tensor {
  const size = elementsOf(shape)
  const rows = new arrays[dtype](indices.length * size)
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i]! * size
    // Of one type, though TypeScript cannot tell.
    rows.set(data.subarray(from, from + size) as never, i * size)
  }
  return tensorOf(dtype, [indices.length, ...shape], rows)
}

/** The images of some rows, each cropped and flipped; written at once where they are to be. */
function taken(
  { shape, data }: TensorColumn,
  indices: ArrayLike<number>,
  crops: readonly Crop[],
  border: 'black' | 'reflect',
): Tensor {
  const [, height, width] = shape as readonly [number, number, number]
  const size = elementsOf(shape)
  const images = new Uint8Array(indices.length * size)
  for (let i = 0; i < indices.length; i++) {
    const whole = (data as Uint8Array).subarray(indices[i]! * size, (indices[i]! + 1) * size)
    const to = images.subarray(i * size, (i + 1) * size)
    const { region } = crops[i]!
    const from = region ? new Uint8Array(size) : whole
    if (region) resizeBox(whole, from, height, width, boxOf(region, height, width))
    if (crops[i] === inPlace) to.set(from)
    else cropImage(from, to, height, width, crops[i]!, border)
  }
  return tensorOf('uint8', [indices.length, ...shape], images)
}

/** The images of some rows, decoded in the size that the input takes; their regions are cut out on the way. */
async function decoded(
  { kind, files, blobs, ...column }: ImageFilesColumn,
  indices: ArrayLike<number>,
  shape: readonly number[],
  crops: readonly Crop[] | undefined,
  decode: DecodeImages | undefined,
): Promise<TensorColumn> {
  if (!decode) throw new UserError('nothing here decodes image files: give pixels')
  const chosen = imagesAt({ files, blobs }, indices)
  const regions = crops?.flatMap(({ region }) => region ?? [])
  const data = await decode(chosen.files, shape as never, regions?.length ? regions : undefined, chosen.blobs)
  return { ...column, kind: 'tensor', shape, data }
}

/** The same numbers in another type. */
function as(value: Tensor, dtype: DType): Tensor {
  if (value.dtype === dtype) return value
  try {
    return tensor(dtype, value.shape, widen(value).data)
  } catch (error) {
    throw new UserError(`cannot be fed as ${dtype}: ${messageOf(error)}`)
  }
}

/** Of one example of a column, when it feeds this input. */
export const shapeOf = (column: Column, { shape }: TargetInfo): readonly number[] =>
  column.kind === 'tensor' ? column.shape : (shape.slice(1) as number[])

/** The shape of a batch as its input has it, which may have axes of one that the column lacks. */
const batchShape = (count: number, shape: readonly number[], wanted: Shape): readonly number[] => {
  const sizes = shape.filter((dim) => dim !== 1)
  let next = 0
  return [count, ...wanted.map((dim) => (dim === 1 ? 1 : sizes[next++]!))]
}

export interface Augmentation {
  readonly crops: readonly Crop[]
  readonly transforms: readonly Transform[]
}

/** Whether a column holds images that transforms are for: uint8 [channels, height, width]. */
export const isImages = ({ dtype, shape }: Pick<Column, 'dtype' | 'shape'>): boolean =>
  dtype === 'uint8' && shape.length === 3

/** What an input is fed with for these rows. */
export async function rowsFor(
  { columns }: Split,
  { input, column: name }: Binding,
  indices: ArrayLike<number>,
  augmentation?: Augmentation,
  decode?: DecodeImages,
): Promise<Tensor> {
  const column = columns[name]!
  const shape = shapeOf(column, input)
  const isFiles = column.kind === 'image files'
  const source = isFiles ? await decoded(column, indices, shape, augmentation?.crops, decode) : column
  const places = isFiles ? Array.from(indices, (_, i) => i) : indices
  // Regions of files are cut out by now.
  const crops = augmentation?.crops.map(({ region, ...crop }) => (region && !isFiles ? { ...crop, region } : crop))
  const shift = augmentation?.transforms.find((transform) => transform.kind === 'crop')
  const rows =
    crops && isImages(column) ? taken(source, places, crops, shift?.border ?? 'black') : gathered(source, places)
  const { dtype, data } = as(rows, input.dtype)
  return tensorOf(dtype, batchShape(indices.length, shape, input.shape.slice(1)), data)
}
