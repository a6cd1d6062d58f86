// What a file is that is no ONNX model, from how it begins.

const text = (words: string) => [...words].map((letter) => letter.charCodeAt(0))

interface Kind {
  readonly at?: number
  readonly begin: readonly number[]
  readonly is: string
}

const convert = 'convert the model to ONNX where it was made'
const unpack = 'unpack it first'
const pytorch = 'save the model from PyTorch by torch.onnx.export instead: a checkpoint has no graph'

const kinds: readonly Kind[] = [
  {
    begin: text('version https://git-lfs.github.com/spec/'),
    is: 'a Git LFS pointer that stands for the model: fetch the model itself by `git lfs pull`',
  },
  { begin: [0x1f, 0x8b], is: `compressed by gzip: ${unpack}` },
  { begin: [0x42, 0x5a, 0x68], is: `compressed by bzip2: ${unpack}` },
  { begin: [0xfd, 0x37, 0x7a, 0x58, 0x5a], is: `compressed by xz: ${unpack}` },
  { begin: [0x28, 0xb5, 0x2f, 0xfd], is: `compressed by zstd: ${unpack}` },
  { begin: [0x37, 0x7a, 0xbc, 0xaf], is: `a 7z archive: ${unpack}` },
  { at: 257, begin: text('ustar'), is: `a tar archive: ${unpack}` },
  { at: 4, begin: text('ORTM'), is: "a model in ONNX Runtime's own format: use the .onnx file that it was made from" },
  { at: 4, begin: text('TFL3'), is: `a TensorFlow Lite model: ${convert}` },
  { begin: [0x89, ...text('HDF')], is: `an HDF5 file, as Keras writes: ${convert}` },
  { begin: text('GGUF'), is: `a GGUF model: ${convert}` },
  { begin: [0x93, ...text('NUMPY')], is: 'a NumPy array; expected a model' },
  { begin: [0x89, ...text('PNG')], is: 'a PNG image; expected a model' },
  // The first object of a checkpoint of PyTorch before 1.6 is a number of ten bytes.
  { begin: [0x80, 0x02, 0x8a, 0x0a], is: `a PyTorch checkpoint: ${pytorch}` },
]

const startsWith = (bytes: Uint8Array, { at = 0, begin }: Pick<Kind, 'at' | 'begin'>): boolean =>
  begin.every((byte, i) => bytes[at + i] === byte)

/** The first bytes as text, one character a byte. */
const headOf = (bytes: Uint8Array, length = 256): string => String.fromCharCode(...bytes.subarray(0, length))

/** Says what the file is and what to do; undefined for what is not known. */
export function foreignKind(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return 'empty: it was not written to the end, or not copied'
  const head = headOf(bytes)
  if (startsWith(bytes, { begin: text('PK\x03\x04') }))
    // Each entry of a checkpoint lies in one folder, whose pickle comes first.
    return /^.{30}[^/]+\/(data\.pkl|\.format_version|byteorder|version)/s.test(head)
      ? `a PyTorch checkpoint: ${pytorch}`
      : `a zip archive: ${unpack}`
  if (/^\s*<(!doctype|html|\?xml)/i.test(head))
    return 'a web page, perhaps of an error or a sign-in: download the file itself'
  // The length of a header of JSON in eight bytes, then that.
  if (/^.{4}\0{4}\{\s*"/s.test(head))
    return 'a safetensors file, which holds weights without a graph: export the model to ONNX'
  if (/^\s*[{[]\s*["{[\]}]/.test(head)) return 'JSON; expected a model'
  return kinds.find((kind) => startsWith(bytes, kind))?.is
}
