// Models whose tensors stand in files beside them: read whole, and refused where the files are not what the model says.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import onnxProto from 'onnx-proto'
import { type ExternalPlace, evaluateGraph, readNetwork as readNetworkPurely } from 'rdm-onnx/core'
import { afterAll, describe, expect, it } from 'vitest'
import { decodeModel } from '../../../src/core/onnx/tensors.js'
import { readNetwork, withExternalData } from '../../../src/driver/runtime/externalData.js'

const { onnx } = onnxProto
const root = mkdtempSync(join(tmpdir(), 'rdm-external-'))
const folder = join(root, 'model')
mkdirSync(folder)
mkdirSync(join(folder, 'below'))
afterAll(() => rmSync(root, { recursive: true }))
const path = join(folder, 'model.onnx')
const numbers = Buffer.from(Float32Array.of(1.5, -2, 3).buffer)
writeFileSync(join(folder, 'weights.data'), Buffer.concat([Buffer.alloc(8), numbers]))
writeFileSync(join(root, 'secret'), numbers)
symlinkSync(join(root, 'secret'), join(folder, 'link'))

const modelWith = (entries: Readonly<Record<string, string>>) => {
  const externalData = Object.entries(entries).map(([key, value]) => ({ key, value }))
  const inside = { name: 'inside', dataType: 1, dims: [1], rawData: new Uint8Array(4) }
  const outside = { name: 'w', dataType: 1, dims: [3], dataLocation: 1, externalData }
  const model = { irVersion: 8, opsetImport: [{ version: 18 }], graph: { name: 'g', initializer: [inside, outside] } }
  return onnx.ModelProto.encode(model).finish()
}

it.each([
  { location: 'weights.data', offset: '8', length: '12' },
  { location: 'weights.data', offset: '8' },
])('reads %j', (entries) => {
  const [inside, w] = decodeModel(withExternalData(modelWith(entries), path)).graph!.initializer!
  expect([inside!.name, w!.name, w!.externalData]).toEqual(['inside', 'w', []])
  expect(Buffer.from(w!.rawData!)).toEqual(numbers)
})

it('leaves what has nothing outside, and what is no model', () => {
  for (const bytes of [modelWith({}).subarray(0, 5), Buffer.from('no model at all\n')])
    expect(withExternalData(bytes, path)).toBe(bytes)
})

it.each<[Readonly<Record<string, string>>, RegExp]>([
  [{ location: 'nowhere' }, /nowhere, which holds tensors of the model, cannot be read: ENOENT/],
  [
    { location: '../secret' },
    /the model wants data from \.\.\/secret, which is not in its folder: move the file there/,
  ],
  [{ location: 'link' }, /the model wants data from link, which is not in its folder/],
  [{ location: '/etc/hostname' }, /the model wants data from \/etc\/hostname, which is not in its folder/],
  [{ location: 'weights.data', offset: '8', length: '13' }, /has 20 bytes, the model wants those from 8 to 21/],
  [{ location: 'weights.data', length: '99999999999' }, /with its external data it has more than 2147483647 bytes/],
  [{ location: 'weights.data', offset: '-1' }, /tensor 'w': the offset of its external data is '-1', no whole number/],
  [{ offset: '1' }, /tensor 'w': its data are in another file, and the model does not say which/],
])('refuses %j', (entries, message) => {
  expect(() => withExternalData(modelWith(entries), path)).toThrow(message)
})

describe('readNetwork', () => {
  const bytesWith = (entries: Readonly<Record<string, string>>, opType = 'Add') => {
    const externalData = Object.entries(entries).map(([key, value]) => ({ key, value }))
    const outside = { dataType: 1, dims: [3], dataLocation: 1, externalData }
    const attribute = [{ name: 'value', type: 4, t: outside }]
    return onnx.ModelProto.encode({
      irVersion: 8,
      opsetImport: [{ version: 18 }],
      graph: {
        name: 'g',
        initializer: [{ name: 'w', ...outside }],
        node: [
          { opType: 'Constant', output: ['c'], attribute },
          { opType, input: ['w', 'c'], output: ['y'] },
        ],
        output: [{ name: 'y' }],
      },
    }).finish()
  }
  const place = { location: 'weights.data', offset: '8' }
  it('reads data of the folder, of initializers and of constants', () => {
    const network = readNetwork(bytesWith({ ...place, length: '12' }), { directory: folder })
    expect([...evaluateGraph(network, new Map()).get('y')!.data]).toEqual([3, -4, 6])
    // Without a length it is that of the tensor.
    const start = readNetwork(bytesWith({ location: 'weights.data' }), { directory: folder })
    expect([...evaluateGraph(start, new Map()).get('y')!.data]).toEqual([0, 0, 3])
  })
  it.each([
    [place, undefined, /initializer 'w': its data is in another file/],
    [{ ...place, length: '8' }, folder, /initializer 'w': 8 bytes for float32\[3\], expected 12/],
    [{ location: 'weights.data', offset: '12' }, folder, /has 20 bytes, the model wants those from 12 to 24/],
    [{ location: '../secret' }, folder, /data from \.\.\/secret, which is not in its folder/],
    [{ location: 'link' }, folder, /data from link, which is not in its folder/],
    [{ location: '.' }, folder, /data from \., which is not in its folder/],
    [{ location: 'below' }, folder, /below, which should hold tensors of the model, is no file/],
  ])('refuses %j', (entries, directory, message) => {
    const options = directory === undefined ? {} : { directory }
    expect(() => readNetwork(bytesWith(entries), options)).toThrow(message)
  })
  it('of the core asks a function for the data', () => {
    const asked: ExternalPlace[] = []
    const external = (given: ExternalPlace) => {
      asked.push(given)
      return numbers
    }
    const network = readNetworkPurely(bytesWith(place), { external })
    expect([...evaluateGraph(network, new Map()).get('y')!.data]).toEqual([3, -4, 6])
    expect(asked).toEqual(Array(2).fill({ location: 'weights.data', offset: 8, length: 12 }))
  })
})
