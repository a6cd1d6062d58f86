// Models whose tensors are said to stand elsewhere, and whose names are hostile.

import { execFileSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import onnxProto from 'onnx-proto'
import { hostile } from './probes.mjs'

const { onnx } = onnxProto

const tensor = (name, dims) => ({
  name,
  type: {
    tensorType: {
      elemType: 1,
      shape: { dim: dims.map((size) => (typeof size === 'string' ? { dimParam: size } : { dimValue: size })) },
    },
  },
})

/** x·W, with the numbers of W in a file beside it; all names the given one. */
export function linearModel({ location, name = 'weights' } = {}) {
  const inside = { rawData: new Uint8Array(Float32Array.from({ length: 8 }, (_, i) => i / 8).buffer) }
  const elsewhere = {
    dataLocation: 1,
    externalData: [
      { key: 'location', value: location },
      { key: 'length', value: '32' },
    ],
  }
  return onnx.ModelProto.encode({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    producerName: name,
    docString: name,
    graph: {
      name,
      docString: name,
      node: [{ opType: 'MatMul', name, docString: name, input: ['x', `${name}.w`], output: ['logits'] }],
      input: [tensor('x', ['batch', 4])],
      output: [tensor('logits', ['batch', 2])],
      initializer: [
        {
          name: `${name}.w`,
          dataType: 1,
          dims: [4, 2],
          docString: name,
          ...(location === undefined ? inside : elsewhere),
        },
      ],
    },
  }).finish()
}

/** Where data are said to be, and what there is. */
const places = (outside) => ({
  absolute: { location: join(outside, 'secret.bin') },
  above: { location: '../../outside/secret.bin' },
  'above, by way of a folder': {
    location: 'sub/../../../outside/secret.bin',
    make: (at) => mkdirSync(join(at, 'sub')),
  },
  'a link': { location: 'link', make: (at) => symlinkSync(join(outside, 'secret.bin'), join(at, 'link')) },
  'a folder that is a link': { location: 'sub/secret.bin', make: (at) => symlinkSync(outside, join(at, 'sub')) },
  'a device': { location: '/dev/zero' },
  'a link to a device': { location: 'zero', make: (at) => symlinkSync('/dev/zero', join(at, 'zero')) },
  'a pipe': { location: 'pipe', make: (at) => execFileSync('mkfifo', [join(at, 'pipe')]) },
  'a process': { location: '/proc/self/environ' },
  'its own folder': { location: '.' },
  nothing: { location: '' },
  'a null character': { location: 'weights.bin\0.txt' },
  backslashes: { location: '..\\..\\outside\\secret.bin' },
  'an address': { location: 'file:///etc/passwd' },
  'a long name': { location: 'a'.repeat(5000) },
  'terminal escapes': { location: hostile.escape },
})

export async function probeExternalData(guarded, { short }) {
  const kind = 'tensors of a model in files elsewhere'
  const write = (location, make) => {
    const folder = guarded.fresh()
    make?.(folder)
    writeFileSync(join(folder, 'm.onnx'), linearModel({ location }))
    return join(folder, 'm.onnx')
  }
  // A probe that could not succeed would prove nothing.
  const good = write('weights.bin', (folder) => writeFileSync(join(folder, 'weights.bin'), Buffer.alloc(32)))
  await guarded.command(kind, 'a file beside it', 'rdm-derive', [good, '--out', `${good}.out`], { codes: [0] })
  const chosen = Object.entries(places(guarded.outside)).filter((_, i) => !short || i % 4 === 0)
  for (const [name, { location, make }] of chosen) {
    const path = write(location, make)
    await guarded.command(kind, name, 'rdm-derive', [path, '--out', `${path}.out`])
  }
}

export async function probeNames(guarded, { short }) {
  const kind = 'names in models and data, on a terminal'
  const names = Object.entries(hostile).filter(([name]) => !short || name === 'escape' || name === 'c1')
  for (const [what, name] of names) {
    const folder = guarded.fresh()
    const model = join(folder, 'm.onnx')
    writeFileSync(model, linearModel({ name }))
    const codes = [0, 2]
    await guarded.command(kind, `${what}: --explain`, 'rdm-derive', [model, '--explain'], { codes })
    const data = join(folder, 'data.csv')
    const label = (i) =>
      JSON.stringify(`${name}${i % 2}`)
        .replaceAll('\\"', '""')
        .replaceAll(/\\u([0-9a-f]{4})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
    const lines = Array.from({ length: 40 }, (_, i) => `${i % 7},${i % 5},${i % 3},${i % 2},${label(i)}`)
    writeFileSync(data, `a,b,c,${label(0)},kind\n${lines.join('\n')}\n`)
    await guarded.command(kind, `${what}: data`, 'rdm-data', ['info', data], { codes })
    await guarded.command(kind, `${what}: data as JSON`, 'rdm-data', ['info', data, '--json'], { codes })
    const training = join(folder, 'train.onnx')
    const derived = await guarded.command(kind, `${what}: derived`, 'rdm-derive', [model, '--out', training], { codes })
    if (derived.code !== 0) continue
    const out = join(folder, `run ${name.replaceAll('/', '_')}`)
    const fit = [training, '--data', data, '--input', 'x=*', '--input', 'targets=kind', '--epochs', '1', '--batch', '8']
    const more = ['--threads', '1', '--target', 'portable']
    await guarded.command(kind, `${what}: rdm-fit`, 'rdm-fit', [...fit, '--out', out, ...more], { codes })
    await guarded.command(kind, `${what}: --profile`, 'rdm-fit', [...fit, '--profile', '2', ...more], { codes })
    const eva = [join(out, 'model.onnx'), '--data', data, '--input', 'x=*', '--input', 'targets=kind']
    await guarded.command(kind, `${what}: rdm-eval`, 'rdm-eval', eva, { codes })
    await guarded.command(kind, `${what}: rdm-eval --json`, 'rdm-eval', [...eva, '--json'], { codes })
    await guarded.command(kind, `${what}: a file that is not there`, 'rdm-eval', [join(folder, name), '--data', data])
    await guarded.command(kind, `${what}: an option that is not there`, 'rdm-eval', [`--${name}`])
  }
}
