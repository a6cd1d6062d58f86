// Ways to write pieces of a training step for a GPU, each against others that compute the same.
//
// A candidate is `(values, before) => (body) => name`, as loopModel wants it. What is the same at every step (an index table)
// is made before the loop; what depends on the weights or the data is made in the body, but for layouts that would have come
// so from the operator before it.

const range = (count) => Array.from({ length: count }, (_, i) => i)
const nine = range(9).map((tap) => [Math.floor(tap / 3), tap % 3])
const around = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }
const product = 'com.microsoft:FusedMatMul'
const END = 2 ** 31 - 1

const conv3 = (c, h, batch) => ({
  name: `Conv 3×3, ${c}→${c} at ${h}×${h}`,
  inputs: { x: [batch, c, h, h], w: [c, c, 3, 3] },
  candidates: {
    Conv:
      ({ x, w }) =>
      (b) =>
        b.op('Conv', [x, w], around),
    'NhwcConv, x and w in NHWC': {
      build: ({ x, w }, before) => {
        const [nhwc, filter] = [x, w].map((value) => before.transpose(value, [0, 2, 3, 1]))
        return (b) => b.op('com.microsoft:NhwcConv', [nhwc, filter], around)
      },
      after: (b, y) => b.transpose(y, [0, 3, 1, 2]),
    },
    'Conv of x cast to float16, cast back':
      ({ x, w }) =>
      (b) =>
        b.cast(b.op('Conv', [b.cast(x, 'float16'), b.cast(w, 'float16')], around)),
  },
})

const inputGradient3 = (c, h, batch) => ({
  name: `input gradient 3×3, ${c}→${c} at ${h}×${h}`,
  inputs: { dy: [batch, c, h, h], w: [c, c, 3, 3] },
  candidates: {
    ConvTranspose:
      ({ dy, w }) =>
      (b) =>
        b.op('ConvTranspose', [dy, w], around),
    'Conv, w turned by Gather':
      ({ dy, w }) =>
      (b) => {
        const turned = b.op('Gather', [b.reshape(w, [c, c, 9]), b.ints(range(9).reverse())], { axis: 2 })
        return b.op('Conv', [dy, b.reshape(b.transpose(turned, [1, 0, 2]), [c, c, 3, 3])], around)
      },
    'Conv, w turned by Slice':
      ({ dy, w }) =>
      (b) => {
        const ends = b.ints([-END, -END])
        const turned = b.op('Slice', [w, b.ints([-1, -1]), ends, b.ints([2, 3]), b.ints([-1, -1])])
        return b.op('Conv', [dy, b.transpose(turned, [1, 0, 2, 3])], around)
      },
  },
})

const places = (b, x, channels) => b.reshape(x, [0, channels, -1])
const overBatch = (b, x) => b.op('ReduceSum', [x, b.ints([0])], { keepdims: 0 })

/** Where the nine taps of each place lie in a plane with a frame: [9 · h · h] */
const tapPlaces = (h) =>
  nine.flatMap(([i, j]) => range(h * h).map((place) => (Math.floor(place / h) + i) * (h + 2) + (place % h) + j))
/** [9·c, 1, 3, 3]: each channel nine times, each time another tap. */
const oneHot = (c) => range(9 * c * 9).map((at) => (at % 9 === Math.floor(at / 9) % 9 ? 1 : 0))

const framed = (b, x) => b.op('Pad', [x, b.ints([0, 0, 1, 1, 0, 0, 1, 1])])
const tap = (b, x, i, j) => b.op('Slice', [x, b.ints([i, j]), b.ints([i - 2 || END, j - 2 || END]), b.ints([2, 3])])
/** x with all nine taps of each channel beside each other: [n, 9·c, h·h] */
const columns = (b, x, c, h) => {
  const plane = b.reshape(framed(b, x), [0, c, (h + 2) ** 2])
  return b.reshape(b.op('Gather', [plane, b.ints(tapPlaces(h))], { axis: 2 }), [0, 9 * c, h * h])
}

const weightGradient3 = (c, h, batch) => ({
  name: `weight gradient 3×3, ${c}→${c} at ${h}×${h}`,
  inputs: { x: [batch, c, h, h], dy: [batch, c, h, h] },
  candidates: {
    'Pad, Gather, FusedMatMul, ReduceSum':
      ({ x, dy }) =>
      (b) => {
        const sums = b.op(product, [places(b, dy, c), columns(b, x, c, h)], { transB: 1 })
        return b.reshape(overBatch(b, sums), [c, c, 3, 3])
      },
    'Pad, Gather, Transpose, one product':
      ({ x, dy }) =>
      (b) => {
        const flat = (value, rows) => b.reshape(b.transpose(value, [1, 0, 2]), [rows, batch * h * h])
        const [a, all] = [flat(places(b, dy, c), c), flat(columns(b, x, c, h), 9 * c)]
        return b.reshape(b.op(product, [a, all], { transB: 1 }), [c, c, 3, 3])
      },
    'Conv, batch and channels exchanged':
      ({ x, dy }) =>
      (b) => {
        const [a, filter] = [x, dy].map((value) => b.transpose(value, [1, 0, 2, 3]))
        const sums = b.op('Conv', [a, filter], { kernel_shape: [h, h], pads: [1, 1, 1, 1] })
        return b.transpose(sums, [1, 0, 2, 3])
      },
    'nine Slices, Concat, FusedMatMul, ReduceSum':
      ({ x, dy }) =>
      (b) => {
        const frame = framed(b, x)
        const taps = b.op(
          'Concat',
          nine.map(([i, j]) => tap(b, frame, i, j)),
          { axis: 1 },
        )
        const sums = overBatch(b, b.op(product, [places(b, dy, c), places(b, taps, 9 * c)], { transB: 1 }))
        return b.reshape(b.transpose(b.reshape(sums, [c, 9, c]), [0, 2, 1]), [c, c, 3, 3])
      },
    'column shifts × row shifts':
      ({ x, dy }) =>
      (b) => {
        const shifts = (value, axis) => {
          const pads = range(8).map((side) => (side % 4 === axis ? 1 : 0))
          const frame = b.op('Pad', [value, b.ints(pads)])
          const starts = axis === 3 ? [0, 1, 2] : [2, 1, 0]
          const copies = starts.map((start) =>
            b.op('Slice', [frame, b.ints([start]), b.ints([start - 2 || END]), b.ints([axis])]),
          )
          return places(b, b.op('Concat', copies, { axis: 1 }), 3 * c)
        }
        // [3 rows · c outputs, 3 columns · c inputs]
        const sums = overBatch(b, b.op(product, [shifts(dy, 2), shifts(x, 3)], { transB: 1 }))
        return b.transpose(b.reshape(sums, [3, c, 3, c]), [1, 3, 0, 2])
      },
    'one-hot depthwise Conv, FusedMatMul, ReduceSum': ({ x, dy }, before) => {
      const filter = before.floats(oneHot(c), [9 * c, 1, 3, 3])
      return (b) => {
        const taps = places(b, b.op('Conv', [x, filter], { ...around, group: c }), 9 * c)
        return b.reshape(overBatch(b, b.op(product, [places(b, dy, c), taps], { transB: 1 })), [c, c, 3, 3])
      }
    },
    'one-hot Conv of one channel, FusedMatMul, ReduceSum': ({ x, dy }, before) => {
      const filter = before.floats(oneHot(1), [9, 1, 3, 3])
      return (b) => {
        const planes = b.reshape(x, [batch * c, 1, h, h])
        const taps = b.reshape(b.op('Conv', [planes, filter], around), [batch, 9 * c, h * h])
        return b.reshape(overBatch(b, b.op(product, [places(b, dy, c), taps], { transB: 1 })), [c, c, 3, 3])
      }
    },
  },
})

/** A convolution of 1×1, its input gradient and its weight gradient. */
const points = (from, to, h, batch) => {
  const [x, dy, w] = [
    [batch, from, h, h],
    [batch, to, h, h],
    [to, from, 1, 1],
  ]
  const point = { kernel_shape: [1, 1] }
  const matrix = (b, value, rows, inner) => b.reshape(value, [rows, inner])
  return [
    {
      name: `Conv 1×1, ${from}→${to} at ${h}×${h}`,
      inputs: { x, w },
      candidates: {
        Conv:
          ({ x, w }) =>
          (b) =>
            b.op('Conv', [x, w], point),
        'MatMul an image':
          ({ x, w }) =>
          (b) =>
            b.reshape(b.op('MatMul', [matrix(b, w, to, from), places(b, x, from)]), [0, to, h, h]),
      },
    },
    {
      name: `input gradient 1×1, ${from}→${to} at ${h}×${h}`,
      inputs: { dy, w },
      candidates: {
        ConvTranspose:
          ({ dy, w }) =>
          (b) =>
            b.op('ConvTranspose', [dy, w], point),
        'Conv, w transposed':
          ({ dy, w }) =>
          (b) =>
            b.op('Conv', [dy, b.transpose(w, [1, 0, 2, 3])], point),
        'FusedMatMul an image':
          ({ dy, w }) =>
          (b) => {
            const turned = b.transpose(matrix(b, w, to, from), [1, 0])
            return b.reshape(b.op('MatMul', [turned, places(b, dy, to)]), [0, from, h, h])
          },
      },
    },
    {
      name: `weight gradient 1×1, ${from}→${to} at ${h}×${h}`,
      inputs: { x, dy },
      candidates: {
        'FusedMatMul, ReduceSum':
          ({ x, dy }) =>
          (b) => {
            const sums = b.op(product, [places(b, dy, to), places(b, x, from)], { transB: 1 })
            return b.reshape(overBatch(b, sums), [to, from, 1, 1])
          },
        'Transpose, one product':
          ({ x, dy }) =>
          (b) => {
            const flat = (value, rows) => b.reshape(b.transpose(value, [1, 0, 2, 3]), [rows, batch * h * h])
            return b.reshape(b.op(product, [flat(dy, to), flat(x, from)], { transB: 1 }), [to, from, 1, 1])
          },
        'Conv, batch and channels exchanged':
          ({ x, dy }) =>
          (b) => {
            const [a, filter] = [x, dy].map((value) => b.transpose(value, [1, 0, 2, 3]))
            return b.transpose(b.op('Conv', [a, filter], { kernel_shape: [h, h] }), [1, 0, 2, 3])
          },
      },
    },
  ]
}

/** Mean and mean square over all but the channels, stacked: [2, c] */
const statistics = (c, h, batch) => {
  const stacked = (b, mean, square) =>
    b.op(
      'Concat',
      [mean, square].map((value) => b.reshape(value, [1, c])),
      { axis: 0 },
    )
  const overAll = (b) => b.ints([0, 2, 3])
  const count = batch * h * h
  return {
    name: `batch statistics, ${c} at ${h}×${h}`,
    inputs: { x: [batch, c, h, h] },
    candidates: {
      'ReduceMean and ReduceSumSquare': ({ x }, before) => {
        const share = before.floats([1 / count], [])
        return (b) => {
          const mean = b.op('ReduceMean', [x, overAll(b)], { keepdims: 0 })
          const squares = b.op('ReduceSumSquare', [x, overAll(b)], { keepdims: 0 })
          return stacked(b, mean, b.op('Mul', [squares, share]))
        }
      },
      'ReduceMean of x and of x·x':
        ({ x }) =>
        (b) => {
          const mean = (value) => b.op('ReduceMean', [value, overAll(b)], { keepdims: 0 })
          return stacked(b, mean(x), mean(b.op('Mul', [x, x])))
        },
      'ReduceSum over places, then over images': ({ x }, before) => {
        const share = before.floats([1 / count], [])
        return (b) => {
          const mean = (operator) => {
            const image = b.op(operator, [x, b.ints([2, 3])], { keepdims: 0 })
            return b.op('Mul', [b.op('ReduceSum', [image, b.ints([0])], { keepdims: 0 }), share])
          }
          return stacked(b, mean('ReduceSum'), mean('ReduceSumSquare'))
        }
      },
      'x centred by two ReduceMeans; squares over places, then ReduceMean': ({ x }, before) => {
        const share = before.floats([1 / (h * h)], [])
        return (b) => {
          const wide = b.op('ReduceMean', [b.op('ReduceMean', [x, b.ints([2, 3])]), b.ints([0])])
          const squares = b.op('ReduceSumSquare', [b.op('Sub', [x, wide]), b.ints([2, 3])], { keepdims: 0 })
          const variance = b.op('Mul', [b.op('ReduceMean', [squares, b.ints([0])], { keepdims: 0 }), share])
          const mean = b.reshape(wide, [c])
          return stacked(b, mean, b.op('Add', [variance, b.op('Mul', [mean, mean])]))
        }
      },
      'ReduceMean over places, then over images':
        ({ x }) =>
        (b) => {
          const mean = (value) => {
            const image = b.op('ReduceMean', [places(b, value, c), b.ints([2])], { keepdims: 0 })
            return b.op('ReduceMean', [image, b.ints([0])], { keepdims: 0 })
          }
          return stacked(b, mean(x), mean(b.op('Mul', [x, x])))
        },
      'GlobalAveragePool, then ReduceMean':
        ({ x }) =>
        (b) => {
          const mean = (value) => b.op('ReduceMean', [b.op('GlobalAveragePool', [value]), overAll(b)], { keepdims: 0 })
          return stacked(b, mean(x), mean(b.op('Mul', [x, x])))
        },
      'MatMul with ones, then ReduceSum': ({ x }, before) => {
        const ones = before.floats(Array(h * h).fill(1 / (h * h)), [h * h, 1])
        return (b) => {
          const mean = (value) => b.op('ReduceMean', [b.op('MatMul', [places(b, value, c), ones]), b.ints([0])])
          return stacked(b, mean(x), mean(b.op('Mul', [x, x])))
        }
      },
      'MatMul of rows with themselves, for the squares': ({ x }, before) => {
        const ones = before.floats(Array(h * h).fill(1 / (h * h)), [h * h, 1])
        const share = before.floats([1 / (h * h)], [])
        return (b) => {
          const over = (value) => b.op('ReduceMean', [b.reshape(value, [batch, c]), b.ints([0])])
          const rows = b.reshape(x, [batch * c, 1, h * h])
          const squares = b.op(product, [rows, rows], { transB: 1 })
          const mean = over(b.op('MatMul', [places(b, x, c), ones]))
          return stacked(b, mean, b.op('Mul', [over(squares), share]))
        }
      },
      'BatchNormalization of opset 9, saved statistics': {
        opset: 13,
        build: ({ x }, before) => {
          const [one, zero] = [1, 0].map((value) => before.floats(Array(c).fill(value)))
          const epsilon = before.floats([-1e-5], [])
          return (b) => {
            const all = b.ops('BatchNormalization', [x, one, zero, zero, one], 5, { epsilon: { f: 1e-5 } })
            // Of inverse deviations: variance + mean² is the mean square.
            const [mean, inverse] = [all[3], all[4]]
            const variance = b.op('Add', [b.op('Reciprocal', [b.op('Mul', [inverse, inverse])]), epsilon])
            return stacked(b, mean, b.op('Add', [variance, b.op('Mul', [mean, mean])]))
          }
        },
      },
    },
  }
}

const vector = (b, value) => b.reshape(value, [-1, 1, 1])

const normalize = (c, h, batch) => ({
  name: `batch norm with given statistics, then ReLU, ${c} at ${h}×${h}`,
  inputs: { x: [batch, c, h, h], scale: [c], shift: [c] },
  candidates: {
    'BatchNormalization, Relu': ({ x, scale, shift }, before) => {
      const [one, zero] = [1, 0].map((value) => before.floats(Array(c).fill(value)))
      return (b) => b.op('Relu', [b.op('BatchNormalization', [x, scale, shift, zero, one], { epsilon: { f: 0 } })])
    },
    'Mul, Add, Relu':
      ({ x, scale, shift }) =>
      (b) =>
        b.op('Relu', [b.op('Add', [b.op('Mul', [x, vector(b, scale)]), vector(b, shift)])]),
    'depthwise Conv 1×1, Relu':
      ({ x, scale, shift }) =>
      (b) => {
        const filter = b.reshape(scale, [c, 1, 1, 1])
        return b.op('Relu', [b.op('Conv', [x, filter, shift], { kernel_shape: [1, 1], group: c })])
      },
  },
})

const normalizeGradient = (c, h, batch) => ({
  name: `a·dy + b·x + c over channels, ${c} at ${h}×${h}`,
  inputs: { dy: [batch, c, h, h], x: [batch, c, h, h], p: [c], q: [c], r: [c] },
  candidates: {
    'Mul, Mul, Add, Add':
      ({ dy, x, p, q, r }) =>
      (b) => {
        const parts = [b.op('Mul', [x, vector(b, q)]), vector(b, r)]
        return b.op('Add', [b.op('Mul', [dy, vector(b, p)]), b.op('Add', parts)])
      },
    'Mul, BatchNormalization, Add': ({ dy, x, p, q, r }, before) => {
      const [one, zero] = [1, 0].map((value) => before.floats(Array(c).fill(value)))
      return (b) => {
        const affine = b.op('BatchNormalization', [x, q, r, zero, one], { epsilon: { f: 0 } })
        return b.op('Add', [b.op('Mul', [dy, vector(b, p)]), affine])
      }
    },
    'Mul, Mul, Sum':
      ({ dy, x, p, q, r }) =>
      (b) =>
        b.op('Sum', [b.op('Mul', [dy, vector(b, p)]), b.op('Mul', [x, vector(b, q)]), vector(b, r)]),
  },
})

const sumOfProducts = (c, h, batch) => ({
  name: `sums of dy·x over all but the channels, ${c} at ${h}×${h}`,
  inputs: { dy: [batch, c, h, h], x: [batch, c, h, h] },
  candidates: {
    'Mul, ReduceMean':
      ({ dy, x }) =>
      (b) =>
        b.op('ReduceMean', [b.op('Mul', [dy, x]), b.ints([0, 2, 3])], { keepdims: 0 }),
    'products of rows, ReduceMean': ({ dy, x }, before) => {
      const share = before.floats([1 / (h * h)], [])
      return (b) => {
        const [rows, others] = [dy, x].map((value) => b.reshape(value, [batch * c, 1, h * h]))
        const sums = b.reshape(b.op(product, [rows, others], { transB: 1 }), [batch, c])
        return b.op('Mul', [b.op('ReduceMean', [sums, b.ints([0])], { keepdims: 0 }), share])
      }
    },
  },
})

const reluGradient = (c, h, batch) => {
  /** The ways take y as the ReLU gave it, and a zero. */
  const way = (repeat) => (values, before) => {
    const given = { ...values, y: before.op('Relu', [values.y]), zero: before.floats([0], []) }
    return (b) => repeat(b, given)
  }
  return {
    name: `ReLU gradient, ${c} at ${h}×${h}`,
    inputs: { dy: [batch, c, h, h], y: [batch, c, h, h] },
    candidates: {
      'Where of Greater': way((b, { dy, y, zero }) => b.op('Where', [b.op('Greater', [y, zero]), dy, zero])),
      'Where of Cast to bool': way((b, { dy, y, zero }) => b.op('Where', [b.cast(y, 'bool'), dy, zero])),
      'Mul with HardSigmoid': way((b, { dy, y }) => {
        // A half can say no more than 65504, and infinity times 0 is no number.
        const alpha = b.type === 'float16' ? 6e4 : 1e30
        return b.op('Mul', [dy, b.op('HardSigmoid', [y], { alpha: { f: alpha }, beta: { f: 0 } })])
      }),
      'Mul with Cast of Greater': way((b, { dy, y, zero }) => b.op('Mul', [dy, b.cast(b.op('Greater', [y, zero]))])),
      'Mul with Sign': way((b, { dy, y }) => b.op('Mul', [dy, b.op('Sign', [y])])),
    },
  }
}

/** What one node costs by itself: as little arithmetic as there is, and one pass over an activation. */
const floor = (c, h, batch) => ({
  name: `one pass, ${c} at ${h}×${h}`,
  inputs: { x: [batch, c, h, h], y: [batch, c, h, h] },
  differ: true,
  candidates: {
    Relu:
      ({ x }) =>
      (b) =>
        b.op('Relu', [x]),
    Add:
      ({ x, y }) =>
      (b) =>
        b.op('Add', [x, y]),
    'Cast to the other float, Relu, Cast back': ({ x }, before) => {
      const other = before.type === 'float32' ? 'float16' : 'float32'
      return (b) => b.cast(b.op('Relu', [b.cast(x, other)]))
    },
  },
})

const launches = () => ({
  name: 'small nodes, each on what the one before gave',
  inputs: { x: [16], y: [16] },
  differ: true,
  candidates: Object.fromEntries(
    [1, 11, 101].map((count) => [
      `${count} Adds of [16]`,
      ({ x, y }) =>
        (b) =>
          range(count).reduce((value) => b.op('Add', [value, y]), x),
    ]),
  ),
})

/** Tensors in one: the provider's Concat and Split fill a table on the host where the parts differ. */
const packs = () => {
  const large = 400_000
  const halves = (b, whole, sizes) => b.ops('Split', [whole, b.ints(sizes)], 2, { axis: 0 })[0]
  return {
    name: `Concat and Split, ${2 * large} numbers in two parts`,
    inputs: { x: [large], y: [large], z: [16] },
    differ: true,
    candidates: {
      'Concat of equal parts':
        ({ x, y }) =>
        (b) =>
          b.op('Concat', [x, y], { axis: 0 }),
      'Concat of unequal parts': ({ x, y, z }, before) => {
        const longer = before.op('Concat', [y, z], { axis: 0 })
        return (b) => b.op('Concat', [x, longer], { axis: 0 })
      },
      'Split into equal parts': ({ x, y }, before) => {
        const whole = before.op('Concat', [x, y], { axis: 0 })
        return (b) => halves(b, whole, [large, large])
      },
      'Split into unequal parts': ({ x, y }, before) => {
        const whole = before.op('Concat', [x, y], { axis: 0 })
        return (b) => halves(b, whole, [large - 16, large + 16])
      },
    },
  }
}

/** Width and image size of each stage. */
const stages = [
  [16, 32],
  [32, 16],
  [64, 8],
]

/**
 * All studies, each of candidates that compute the same (but where it says `differ`): the 3×3 convolutions of RDM-56, which
 * are those of RDM-83 too, RDM-83's 1×1 convolutions, and passes over the activations of both.
 */
export const studies = (batch) => [
  launches(),
  packs(),
  ...stages.flatMap(([c, h]) => [conv3, inputGradient3, weightGradient3].map((study) => study(c, h, batch))),
  ...stages.flatMap(([c, h]) =>
    [c, 4 * c].flatMap((width) =>
      [floor, statistics, normalize, sumOfProducts, normalizeGradient, reluGradient].map((study) =>
        study(width, h, batch),
      ),
    ),
  ),
  ...stages.flatMap(([c, h]) => [...points(4 * c, c, h, batch), ...points(c, 4 * c, h, batch)]),
]
