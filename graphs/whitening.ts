// Whitening patches of images: the filters of a first convolution, computed from data (Page 2018; Jordan 2024).

import type { PixelStatistics } from '../src/core/layers/index.js'

/** Images as they stand in data sets: uint8, row-major [count, channels, height, width]. */
export interface Pixels {
  readonly data: ArrayLike<number>
  readonly shape: readonly [count: number, channels: number, height: number, width: number]
}

/**
 * Σ p·pᵀ/n over all patches p of kernel × kernel pixels in all channels, of images normalized by the statistics.
 * @returns row-major [f, f], f = channels · kernel²
 */
export function patchCovariance({ data, shape }: Pixels, kernel: number, { mean, std }: PixelStatistics): Float64Array {
  const [count, channels, height, width] = shape
  const features = channels * kernel * kernel
  const total = new Float64Array(features * features)
  const patch = new Float64Array(features)
  for (let image = 0; image < count; image++)
    for (let top = 0; top <= height - kernel; top++)
      for (let left = 0; left <= width - kernel; left++) {
        let at = 0
        for (let c = 0; c < channels; c++)
          for (let i = 0; i < kernel; i++)
            for (let j = 0; j < kernel; j++) {
              const pixel = data[((image * channels + c) * height + top + i) * width + left + j]!
              patch[at++] = (pixel / 255 - mean[c]!) / std[c]!
            }
        for (let a = 0; a < features; a++)
          for (let b = 0; b <= a; b++) total[a * features + b]! += patch[a]! * patch[b]!
      }
  const patches = count * (height - kernel + 1) * (width - kernel + 1)
  return total.map((_, i) => {
    const [a, b] = [Math.floor(i / features), i % features]
    return total[Math.max(a, b) * features + Math.min(a, b)]! / patches
  })
}

export interface Eigen {
  readonly value: number
  /** Of length 1; its largest number is positive, so that there is one answer. */
  readonly vector: readonly number[]
}

/**
 * Eigenvalues and eigenvectors of a symmetric matrix, the largest first, by Jacobi's rotations (Golub and Van Loan, Matrix
 * Computations, section 8.5).
 * @param matrix row-major [size, size]
 */
export function symmetricEigen(matrix: ArrayLike<number>, size: number): Eigen[] {
  const a = Array.from({ length: size }, (_, i) => Array.from({ length: size }, (_, j) => matrix[i * size + j]!))
  const v = a.map((_, i) => a.map((_, j) => Number(i === j)))
  const rotate = (rows: number[][], i: number, j: number, k: number, l: number, sine: number, tau: number) => {
    const [g, h] = [rows[i]![j]!, rows[k]![l]!]
    rows[i]![j] = g - sine * (h + g * tau)
    rows[k]![l] = h + sine * (g - h * tau)
  }
  const largest = Math.max(...a.flat().map(Math.abs))
  for (let moved = true; moved; ) {
    moved = false
    for (let p = 0; p < size; p++)
      for (let q = p + 1; q < size; q++) {
        const off = a[p]![q]!
        if (Math.abs(off) <= Number.EPSILON * largest * 1e-3) continue
        moved = true
        const theta = (a[q]![q]! - a[p]![p]!) / (2 * off)
        const tangent = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1))
        const cosine = 1 / Math.sqrt(tangent * tangent + 1)
        const sine = tangent * cosine
        const tau = sine / (1 + cosine)
        a[p]![p]! -= tangent * off
        a[q]![q]! += tangent * off
        a[p]![q] = 0
        for (let r = 0; r < p; r++) rotate(a, r, p, r, q, sine, tau)
        for (let r = p + 1; r < q; r++) rotate(a, p, r, r, q, sine, tau)
        for (let r = q + 1; r < size; r++) rotate(a, p, r, q, r, sine, tau)
        for (let r = 0; r < size; r++) rotate(v, r, p, r, q, sine, tau)
      }
  }
  const pairs = a.map((row, i) => {
    const column = v.map((line) => line[i]!)
    const top = column.reduce((one, other) => (Math.abs(other) > Math.abs(one) ? other : one))
    return { value: row[i]!, vector: column.map((number) => (top < 0 ? -number : number)) }
  })
  return pairs.sort((one, other) => other.value - one.value)
}

/**
 * Filters that whiten: each eigenvector of the patches' covariance over the root of its eigenvalue, and the same negated.
 * @param epsilon added to the eigenvalues
 * @returns row-major [2f, channels, kernel, kernel], f = channels · kernel²
 */
export function whiteningFilters(
  images: Pixels,
  kernel: number,
  statistics: PixelStatistics,
  epsilon = 5e-4,
): readonly number[] {
  const features = images.shape[1] * kernel * kernel
  const filters = symmetricEigen(patchCovariance(images, kernel, statistics), features).flatMap(({ value, vector }) =>
    vector.map((number) => number / Math.sqrt(value + epsilon)),
  )
  return [...filters, ...filters.map((number) => -number)]
}
