// Files made wrong anywhere in their bytes.

export const pick = (random, from) => from[random.below(from.length)]
export const joined = (...parts) => new Uint8Array(Buffer.concat(parts))

/** `others` are whole files to take pieces of. */
const changes = {
  flips(random, bytes) {
    const copy = bytes.slice()
    for (let k = 1 + random.below(8); k > 0; k--) copy[random.below(copy.length)] ^= 1 << random.below(8)
    return copy
  },
  cut: (random, bytes) => bytes.subarray(0, random.below(bytes.length)),
  gap(random, bytes) {
    const [from, length] = [random.below(bytes.length), 1 + random.below(64)]
    return joined(bytes.subarray(0, from), bytes.subarray(from + length))
  },
  repetition(random, bytes) {
    const [from, length] = [random.below(bytes.length), 1 + random.below(512)]
    return joined(bytes.subarray(0, from + length), bytes.subarray(from))
  },
  large(random, bytes) {
    const copy = bytes.slice()
    const at = random.below(Math.max(copy.length - 10, 1))
    return copy.fill(0xff, at, at + 1 + random.below(9))
  },
  splice(random, bytes, others) {
    const other = pick(random, others)
    const [from, at] = [random.below(other.length), random.below(bytes.length)]
    return joined(bytes.subarray(0, at), other.subarray(from, from + 1 + random.below(2000)), bytes.subarray(at))
  },
  both: (random, bytes, others) => joined(bytes, pick(random, others)),
}

/** @returns the name of what was done, and the file after it */
export function changedBytes(random, bytes, others) {
  if (bytes.length === 0) return ['another file', pick(random, others)]
  const name = pick(random, Object.keys(changes))
  return [name, changes[name](random, bytes, others)]
}
