// A small data set that softmax regression learns: the class decides which pixels are bright, with some noise.

import { randomStream } from '../../src/core/random.js'
import { type ImageDataset, type ImageSet, imageSet } from '../../src/driver/data/dataset.js'

const side = 8

function tinySet(count: number, classes: number, name: string): ImageSet {
  const random = randomStream(5, name)
  const size = 3 * side * side
  const images = new Uint8Array(count * size)
  const labels = new Uint8Array(count)
  for (let i = 0; i < count; i++) {
    const label = random.below(classes)
    labels[i] = label
    for (let j = 0; j < size; j++) images[i * size + j] = random.below(100) + (j % classes === label ? 120 : 0)
  }
  const names = Array.from({ length: classes }, (_, label) => `class ${label}`)
  return imageSet({ images, labels, count, channels: 3, height: side, width: side, classes: names })
}

/** 72 training images: with batches of 16 the last one of an epoch holds 8. */
export const tinyData = (classes = 10): ImageDataset => ({
  format: 'cifar10',
  train: tinySet(72, classes, 'train'),
  test: tinySet(30, classes, 'test'),
})
