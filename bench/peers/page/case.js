// The case in a page: settings, weights, the batch.

const read = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer())

const arrays = { F32: Float32Array, I64: BigInt64Array }

/** 8 bytes with the length of the header, the header as JSON, the data. */
function tensorsOf(file) {
  const start = 8 + Number(new DataView(file.buffer).getBigUint64(0, true))
  const { __metadata__, ...header } = JSON.parse(new TextDecoder().decode(file.subarray(8, start)))
  const entries = Object.entries(header).map(
    ([
      name,
      {
        dtype,
        shape,
        data_offsets: [from, to],
      },
    ]) => [name, { shape, data: new arrays[dtype](file.slice(start + from, start + to).buffer) }],
  )
  return Object.fromEntries(entries)
}

export async function readCase() {
  const [settings, weights, batch] = await Promise.all([
    fetch('case.json').then((response) => response.json()),
    read('weights.safetensors').then(tensorsOf),
    read('batch.safetensors').then(tensorsOf),
  ])
  return { settings, weights, ...batch }
}
