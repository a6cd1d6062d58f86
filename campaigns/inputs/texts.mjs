// Texts and archives made wrong in what they say: well-formed, and most often nonsense.

import { deflateRawSync } from 'node:zlib'
import { crc32 } from '../../dist/src/driver/data/formats/zip.js'
import { joined, pick } from './bytes.mjs'

const text = (bytes) => Buffer.from(bytes).toString('utf8')
const utf8 = (words) => new Uint8Array(Buffer.from(words))

const values = [
  null,
  true,
  0,
  -1,
  0.5,
  1e308,
  -1e-320,
  2 ** 53,
  2 ** 31,
  '',
  'x',
  '__proto__',
  'a\nb\u2028c\u001b[31m',
  '../../etc/passwd',
  'x'.repeat(5000),
  [],
  {},
  [[[[]]]],
  Array.from({ length: 3000 }, () => 1),
  Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`key ${i}`, i])),
]
const isTree = (value) => typeof value === 'object' && value !== null

/** Another value somewhere in a tree; each level is as likely to be the last. */
function changeTree(random, tree) {
  const keys = Object.keys(tree)
  if (keys.length === 0) return
  const key = pick(random, keys)
  if (isTree(tree[key]) && random.below(4) > 0) return changeTree(random, tree[key])
  const act = random.below(5)
  if (act === 0) delete tree[key]
  else if (act === 1 && !Array.isArray(tree)) tree[pick(random, ['constructor', 'extra', `${key}s`])] = tree[key]
  else if (act === 2) tree[key] = tree[pick(random, keys)]
  else tree[key] = pick(random, values)
}

/** JSON, or lines of it. */
export function json(random, bytes) {
  const lines = text(bytes).split(/\n(?=\{)/)
  const at = random.below(lines.length)
  const tree = JSON.parse(lines[at])
  for (let k = 1 + random.below(3); k > 0; k--) changeTree(random, tree)
  lines[at] = random.below(30) === 0 ? '['.repeat(20_000) : JSON.stringify(tree)
  return utf8(lines.join('\n'))
}

const bomb = (levels) =>
  Array.from(
    { length: levels },
    (_, i) =>
      `k${i}: &k${i} [${Array(9)
        .fill(i === 0 ? 'x' : `*k${i - 1}`)
        .join(', ')}]`,
  )
const yamlLines = [
  'name: [a, b',
  'seeds: 1..1000000000',
  'seeds: 5..1',
  'epochs: -1',
  'epochs: .inf',
  'lr: 0:nan',
  'models: !!js/function "x"',
  '? {a: b}\n: c',
  '\t- tab',
  '&a a: *a',
  '<<: *b',
  '--- second',
  `name: ${'x'.repeat(5000)}`,
  '  - name: con\n    depth: 1e9',
  '  - name: ../up\n    depth: 8',
  '  - arch: rdm65',
  `${' '.repeat(500)}- deep`,
  `k: ${'['.repeat(3000)}`,
  bomb(9).join('\n'),
]

/** YAML, line by line. */
export function yaml(random, bytes) {
  const lines = text(bytes).split('\n')
  for (let k = 1 + random.below(3); k > 0; k--) {
    const at = random.below(lines.length)
    const act = random.below(5)
    if (act === 0) lines.splice(at, 1)
    else if (act === 1) lines.splice(at, 0, lines[random.below(lines.length)])
    else if (act === 2) lines[at] = ` ${lines[at]}`
    else if (act === 3) lines[at] = lines[at].replace(/:.*/, () => `: ${JSON.stringify(pick(random, values))}`)
    else lines.splice(at, 0, pick(random, yamlLines))
    if (lines.length === 0) lines.push('')
  }
  return utf8(lines.join('\n'))
}

const cells = [
  '',
  '"',
  '"a,b',
  'NaN',
  'inf',
  '1e999',
  '-0',
  'é',
  '\0',
  'NA',
  '0x10',
  'x'.repeat(5000),
  '1,2',
  "=cmd|'x'",
  '１',
]

/** A table, cell by cell. */
export function table(random, bytes) {
  const rows = text(bytes)
    .split('\n')
    .map((line) => line.split(','))
  for (let k = 1 + random.below(4); k > 0; k--) {
    const row = pick(random, rows)
    const at = random.below(row.length)
    const act = random.below(4)
    if (act === 0) row.splice(at, 1)
    else if (act === 1) row.splice(at, 0, pick(random, cells))
    else if (act === 2) rows.splice(random.below(rows.length), 0, Array(1 + random.below(2000)).fill('7'))
    else row[at] = pick(random, cells)
    if (row.length === 0) row.push('')
  }
  const lines = rows.map((row) => row.join(','))
  return utf8(lines.join(pick(random, ['\n', '\n', '\r\n', '\r'])))
}

/** The header of a safetensors file, with a length that fits it. */
export function safetensors(random, bytes) {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
  const header = json(random, bytes.subarray(8, 8 + length))
  const head = new Uint8Array(8)
  new DataView(head.buffer).setBigUint64(0, BigInt(header.length), true)
  return joined(head, header, bytes.subarray(8 + length))
}

const sizes = ['0', '-1', '1', '3', '99999999999', '9007199254740993', '4294967296', '1e3', '']
/** The header of an .npy file, with a length that fits it. */
export function npy(random, bytes) {
  const length = bytes[8] + 256 * bytes[9]
  const header = text(bytes.subarray(10, 10 + length)).trimEnd()
  const changed = random.below(2)
    ? header.replace(
        /\(([^)]*)\)/,
        () => `(${Array.from({ length: random.below(40) }, () => pick(random, sizes)).join(', ')})`,
      )
    : header.replace(
        /'descr': '[^']*'/,
        () => `'descr': '${pick(random, ['|O', '>f8', '<c16', '<U9', '|S0', '<f4', '<i8', '|b1', '>u4', 'x'])}'`,
      )
  const head = bytes.slice(0, 10)
  head[8] = changed.length % 256
  head[9] = changed.length >> 8
  return joined(head, utf8(changed), bytes.subarray(10 + length))
}

const uint = (value, width) => {
  const bytes = Buffer.alloc(width)
  bytes.writeUIntLE(value, 0, width)
  return bytes
}
/** A zip archive whose sums are right, stored or deflated. */
export function zip(entries, deflated) {
  const parts = []
  const directory = []
  let offset = 0
  for (const [name, bytes] of entries) {
    const packed = deflated ? new Uint8Array(deflateRawSync(bytes)) : bytes
    const named = Buffer.from(name)
    const common = [
      ...[uint(0, 2), uint(deflated ? 8 : 0, 2), uint(0, 4), uint(crc32(bytes), 4), uint(packed.length, 4)],
      ...[uint(bytes.length, 4), uint(named.length, 2), uint(0, 2)],
    ]
    const local = joined(uint(0x04034b50, 4), uint(20, 2), ...common, named, packed)
    directory.push(
      joined(uint(0x02014b50, 4), uint(20, 2), uint(20, 2), ...common, Buffer.alloc(10), uint(offset, 4), named),
    )
    parts.push(local)
    offset += local.length
  }
  const listed = joined(...directory)
  const count = uint(entries.length, 2)
  return joined(
    ...parts,
    listed,
    uint(0x06054b50, 4),
    uint(0, 4),
    count,
    count,
    uint(listed.length, 4),
    uint(offset, 4),
    uint(0, 2),
  )
}
