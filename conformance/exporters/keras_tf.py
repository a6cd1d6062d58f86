"""Keras networks, by Keras's own export and by tf2onnx itself."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
import tf2onnx

from .formulas import FORMULAS, SGD, STEPS, class_targets, digests, wave

layers = keras.layers


def keras_cnn(folded=False):
    """@param folded without the batch norm, which exporters fold into the convolution before it"""
    x = image = layers.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", use_bias=folded)(x)
    x = x if folded else layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.MaxPooling2D()(x)
    x = layers.SeparableConv2D(12, 3, strides=2, padding="same", activation="elu")(x)
    x = layers.LayerNormalization()(x)
    x = layers.Conv2DTranspose(6, 3, strides=2, padding="same")(x)
    x = layers.concatenate([layers.UpSampling2D(2)(x), layers.ZeroPadding2D(1)(layers.Cropping2D(1)(image))])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(10, activation="softmax")(layers.Dropout(0.5)(x)))


def keras_text():
    x = tokens = layers.Input((6,), name="tokens", dtype="int32")
    x = layers.Embedding(64, 12)(x)
    x = layers.Bidirectional(layers.LSTM(8, return_sequences=True))(x)
    x = layers.GRU(8)(layers.Conv1D(8, 3, activation="swish")(x))
    return keras.Model(tokens, layers.Dense(1, activation="sigmoid")(x))


def built(build):
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    model = build()
    # As if trained: what starts at 0 or 1 has moved. Weights keep eight bits each, and pack well.
    random = np.random.default_rng(7)
    for weight in model.weights:
        value = np.array(weight)
        if value.ndim < 2:
            value = value + 0.1 * random.standard_normal(value.shape) * (value + 1)
        weight.assign(tf.cast(tf.cast(value, tf.bfloat16), tf.float32))
    return model


def of_keras(build, exporter, options):
    def write(path):
        model = built(build)
        (given,) = model.inputs
        if exporter == "keras":
            # A model that was never called is refused.
            model(tf.zeros((1, *given.shape[1:]), given.dtype))
            model.export(path, format="onnx", verbose=False)
        else:
            signature = [tf.TensorSpec(given.shape, given.dtype, name=given.name)]
            tf2onnx.convert.from_function(tf.function(model), input_signature=signature, output_path=path)
        return options

    return write


image = {"shapes": {"image": [3, 16, 16, 3]}}
tokens = {"shapes": {"tokens": [3, 6]}, "range": {"tokens": [0, 64]}}

WRITERS = {
    "keras_cnn.keras": of_keras(keras_cnn, "keras", image),
    "keras_cnn.tf2onnx": of_keras(keras_cnn, "tf2onnx", image),
    "keras_text.keras": of_keras(keras_text, "keras", tokens),
    "keras_text.tf2onnx": of_keras(keras_text, "tf2onnx", tokens),
}


def train_cnn():
    """Three steps of Keras in float64, without dropout, the statistics of the batch norm frozen and folded as the file has them."""
    kernel, scale, shift, mean, variance, *others = [np.array(weight, np.float64) for weight in built(keras_cnn).weights]
    factor = scale / np.sqrt(variance + 1e-3)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    model = keras_cnn(folded=True)
    model.set_weights([kernel * factor, shift - mean * factor, *others])
    given = wave([3, 16, 16, 3]).astype(np.float64)
    wanted = class_targets([3], 10)
    optimizer = keras.optimizers.SGD(SGD["lr"], SGD["momentum"])
    weights = lambda: {weight.path: np.array(weight) for weight in model.trainable_weights}
    initial = weights()
    losses = []
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            probabilities = model(given, training=False)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(wanted, probabilities))
        optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
        losses.append(float(loss))
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    return {
        "by": f"Keras {keras.__version__}, float64",
        "formulas": {"inputs": FORMULAS["inputs"], "targets": FORMULAS["classes"]},
        "inputs": {"image": {"shape": [3, 16, 16, 3], "start": 0}},
        "loss": "cross-entropy",
        "batchStatistics": False,
        "sgd": SGD,
        "losses": losses,
        "weights": digests(initial, weights()),
    }


TRAININGS = {"keras_cnn": train_cnn}
