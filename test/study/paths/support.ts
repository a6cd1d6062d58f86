// Tiny residual networks whose every path can be tried, and their values.
import type { InferenceSession } from 'onnxruntime-node'
import { Tensor as OrtTensor } from 'onnxruntime-node'
import { type Architecture, buildNetwork } from '../../../graphs/residual.js'
import { type Numbers, numbers } from '../../../src/core/graph/tensor.js'
import { randomStream } from '../../../src/core/random.js'
import { type ImageSet, imageSet } from '../../../src/driver/data/dataset.js'
import { fromOrt } from '../../../src/driver/runtime/ort.js'
import type { Session } from '../../../src/driver/runtime/session.js'
import type { Path } from '../../../src/study/paths/sampling.js'
import { disturbed, tinyNetworks } from '../../support/networks.js'

/** Three blocks each: 27, 27, 8 and 64 paths. */
export const architectures = {
  'two functions, one without its first ReLU': { ...tinyNetworks['RDM basic'], blocks: [1, 1, 1] },
  'with stochastic depth': { ...tinyNetworks['RDM basic, stochastic depth'], imageSize: 8, blocks: [1, 1, 1] },
  'post-activation, shortcuts padded': {
    ...tinyNetworks['stochastic depth, post-activation'],
    blocks: [1, 1, 1],
  },
  'bottlenecks of three functions': {
    ...tinyNetworks['RDM bottleneck'],
    functions: ['111', '011', '001'],
    blocks: [2, 1],
    widths: [4, 6],
  },
} as const satisfies Record<string, Architecture>

export function tinyTrained(architecture: Architecture) {
  const network = buildNetwork(architecture)
  return { network, weights: disturbed(network.graph, 7) }
}

/** All ways through so many blocks, by counting: each block is a digit. */
export const everyPath = (blocks: number, edges: number): Path[] =>
  Array.from({ length: edges ** blocks }, (_, code) =>
    Uint16Array.from({ length: blocks }, (_, block) => Math.floor(code / edges ** block) % edges),
  )

export const lengthOf = (path: Path): number => path.filter((edge) => edge > 0).length

/** Images of noise. */
export function noise(count: number, side: number, seed = 1): ImageSet {
  const random = randomStream(seed, 'noise')
  return imageSet({
    images: Uint8Array.from({ length: count * 3 * side * side }, () => random.below(256)),
    labels: Uint8Array.from({ length: count }, () => random.below(10)),
    count,
    channels: 3,
    height: side,
    width: side,
    classes: Array.from({ length: 10 }, (_, label) => `${label}`),
  })
}

/** Image `index` of a set as tensors of a batch of one. */
export function oneImage(set: ImageSet, index: number): { images: Numbers; labels: Numbers } {
  const size = 3 * set.height * set.width
  return {
    images: numbers('uint8', [1, 3, set.height, set.width], set.images.subarray(index * size, (index + 1) * size)),
    labels: numbers('int64', [1], [set.labels[index]!]),
  }
}

/** A session of the test's own thread as the product's. */
export const asSession = (session: InferenceSession): Pick<Session, 'run'> => ({
  async run(feeds) {
    const given = Object.fromEntries(
      Object.entries(feeds).map(([name, { dtype, shape, data }]) => [
        name,
        new OrtTensor(dtype as 'float32', data as Float32Array, shape),
      ]),
    )
    const results = Object.entries(await session.run(given))
    return Object.fromEntries(results.map(([name, value]) => [name, fromOrt(name, value as OrtTensor)]))
  },
})
