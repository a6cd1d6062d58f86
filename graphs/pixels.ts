// Per-channel mean and standard deviation of the training images, of pixels in [0, 1].

/** Mean and standard deviation of each channel over the training images, of pixels in 0 … 1. */
export const pixelStatistics = {
  cifar10: { mean: [0.49139968, 0.48215841, 0.44653091], std: [0.24703223, 0.24348513, 0.26158784] },
  cifar100: { mean: [0.50707516, 0.48654887, 0.44091784], std: [0.26733429, 0.25643846, 0.27615047] },
}
