// airbench94: what its first convolution does to patches, how its weights begin, and what its step is told.
import { describe, expect, it } from 'vitest'
import { airbench94, airbenchRecipe, airbenchStep } from '../../graphs/airbench.js'
import { patchCovariance, symmetricEigen, whiteningFilters } from '../../graphs/whitening.js'
import { parameterCount } from '../../src/core/model/cost.js'
import { randomStream } from '../../src/core/random.js'
import { initialize } from '../../src/core/training/initialize.js'
import { valueAt } from '../../src/core/training/schedule.js'
import { trainingStep } from '../../src/core/training/step.js'
import { randomSet } from '../driver/data/support.js'

const statistics = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] }
const { images: data } = randomSet(20)
const images = { data, shape: [20, 3, 32, 32] } as const

describe('whitening', () => {
  it('eigenvectors of a symmetric matrix are what they are called', () => {
    const random = randomStream(3, 'eigen')
    const size = 12
    const half = Array.from({ length: size * size }, () => random.normal())
    const matrix = half.map((value, i) => value + half[(i % size) * size + Math.floor(i / size)]!)
    const pairs = symmetricEigen(matrix, size)
    expect(pairs.map(({ value }) => value)).toEqual(pairs.map(({ value }) => value).sort((a, b) => b - a))
    for (const { value, vector } of pairs) {
      const product = vector.map((_, i) => vector.reduce((sum, v, j) => sum + matrix[i * size + j]! * v, 0))
      product.forEach((p, i) => {
        expect(p).toBeCloseTo(value * vector[i]!, 12)
      })
      for (const other of pairs) {
        const dot = vector.reduce((sum, v, i) => sum + v * other.vector[i]!, 0)
        expect(dot).toBeCloseTo(Number(other.vector === vector), 12)
      }
    }
  })

  it('makes the parts of patches uncorrelated and of variance 1, and has each filter negated', () => {
    const covariance = patchCovariance(images, 2, statistics)
    const filters = whiteningFilters(images, 2, statistics, 0)
    const rows = Array.from({ length: 24 }, (_, i) => filters.slice(12 * i, 12 * i + 12))
    rows.slice(0, 12).forEach((row, i) => {
      expect(rows[12 + i]).toEqual(row.map((value) => -value))
      for (const [j, other] of rows.slice(0, 12).entries()) {
        let product = 0
        for (let a = 0; a < 12; a++)
          for (let b = 0; b < 12; b++) product += row[a]! * covariance[12 * a + b]! * other[b]!
        expect(product).toBeCloseTo(Number(i === j), 10)
      }
    })
  })
})

describe('the network', () => {
  const network = airbench94(images)

  it('has the 1.97 million parameters of the paper, and begins as it says', () => {
    // With running statistics, without scales of batch norms, which are 1.
    expect(parameterCount(network)).toBe(1_971_352)
    const weights = initialize([network], 5)
    const { data: conv, shape } = weights.get('block1.conv1.weight')!
    expect(shape).toEqual([64, 24, 3, 3])
    const filter = (i: number) => Array.from((conv as Float32Array).subarray(216 * i, 216 * (i + 1)))
    for (const i of [0, 23]) expect(filter(i)).toEqual(Array.from({ length: 216 }, (_, at) => Number(at === 9 * i + 4)))
    const drawn = Array.from({ length: 40 }, (_, i) => filter(24 + i)).flat()
    const bound = 1 / Math.sqrt(216)
    expect(Math.max(...drawn.map(Math.abs))).toBeLessThanOrEqual(Math.fround(bound))
    // Of 8640 numbers the standard deviation of the variance is 1 %.
    expect(drawn.reduce((sum, value) => sum + value * value, 0) / drawn.length / (bound ** 2 / 3)).toBeCloseTo(1, 1)
  })

  it('trains all but the whitening filters, and its rates are those of the paper', () => {
    const { signature } = trainingStep(network, airbenchStep)
    expect(Object.values(signature.updates)).not.toContain('whiten.weight')
    expect(Object.values(signature.updates)).toContain('whiten.bias')
    expect(signature.hyperparameters).toMatchObject({ whiten_bias: 1, average_decay: 0 })
    const at = (step: number) => valueAt(airbenchRecipe.learningRate, { step, steps: 476, stepsPerEpoch: 48 })
    // 11.5 for 1024 images over the length of a step, 1 + 1/(1 − 0.85).
    const rate = 11.5 / (1 + 1 / 0.15)
    expect(at(0)).toBeCloseTo(0.2 * rate, 12)
    expect(Math.max(...Array.from({ length: 476 }, (_, step) => at(step)))).toBeGreaterThan(0.99 * rate)
    expect(at(476)).toBeCloseTo(0.07 * rate, 12)
    const bias = airbenchRecipe.schedules!.whiten_bias!
    expect([0, 143, 144].map((step) => valueAt(bias, { step, steps: 476, stepsPerEpoch: 48 }))).toEqual([1, 1, 0])
  })
})
