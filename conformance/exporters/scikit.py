"""scikit-learn's networks, by skl2onnx."""

import copy
import pathlib

import numpy as np
import sklearn
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .formulas import FORMULAS, STEPS, class_targets, digests, number_targets, wave


def fitted(build, names=None):
    random = np.random.default_rng(7)
    features = random.standard_normal((200, 6)).astype(np.float32)
    labels = (features @ random.standard_normal((6, 3))).argmax(1)
    return build().fit(features, labels if names is None else np.array(names)[labels])


def of_sklearn(build, names=None, **options):
    def write(path):
        model = fitted(build, names)
        features = np.zeros((1, 6), np.float32)
        proto = to_onnx(model, features, name="network", options={id(model): options} if options else None)
        pathlib.Path(path).write_bytes(proto.SerializeToString())
        return {"shapes": {"X": [3, 6]}}

    return write


def mlp(kind, **options):
    return kind(hidden_layer_sizes=(16, 8), max_iter=300, random_state=7, **options)


def regressor():
    return mlp(MLPRegressor, activation="tanh")


def classifier():
    return mlp(MLPClassifier)


WRITERS = {
    "sklearn_mlp_regressor.skl2onnx": of_sklearn(regressor),
    "sklearn_mlp_classifier.skl2onnx": of_sklearn(classifier, zipmap=False),
    # As skl2onnx writes it unless told otherwise: names of classes, and a map from them to probabilities.
    "sklearn_mlp_named.skl2onnx": of_sklearn(classifier, names=["left", "middle", "right"]),
    "sklearn_logistic.skl2onnx": of_sklearn(LogisticRegression, zipmap=False),
    "sklearn_pipeline.skl2onnx": of_sklearn(lambda: make_pipeline(StandardScaler(), regressor())),
}


def weights(model):
    names = lambda name, values: {f"{name}{i or ''}": value.copy() for i, value in enumerate(values)}
    return {**names("coefficient", model.coefs_), **names("intercepts", model.intercepts_)}


def train(build):
    """
    partial_fit with all rows in a batch, by sklearn's own SGD, in float64. Its penalty alpha / 2n · Σw² on the coefficients alone is
    a weight decay of alpha / n; it is taken off the losses.
    """
    model = copy.copy(fitted(build))
    rows, alpha, settings = 12, 0.06, {"lr": 0.05, "momentum": 0.9}
    # What the file holds.
    model.coefs_ = [value.astype(np.float32).astype(np.float64) for value in model.coefs_]
    model.intercepts_ = [value.astype(np.float32).astype(np.float64) for value in model.intercepts_]
    model.set_params(
        solver="sgd",
        alpha=alpha,
        learning_rate_init=settings["lr"],
        momentum=settings["momentum"],
        nesterovs_momentum=False,
        shuffle=False,
        batch_size=rows,
    )
    del model._optimizer
    is_classifier = isinstance(model, MLPClassifier)
    given = wave([rows, 6]).astype(np.float64)
    wanted = class_targets([rows], 3) if is_classifier else number_targets([rows])
    initial = weights(model)
    losses = []
    for _ in range(STEPS):
        penalty = alpha / 2 / rows * sum(np.square(value).sum() for value in model.coefs_)
        model.partial_fit(given, wanted)
        losses.append(float(model.loss_ - penalty))
    return {
        "by": f"scikit-learn {sklearn.__version__}, float64",
        "formulas": {"inputs": FORMULAS["inputs"], "targets": FORMULAS["classes" if is_classifier else "numbers"]},
        "inputs": {"X": {"shape": [rows, 6], "start": 0}},
        # sklearn's squared loss is half of the mean square.
        "loss": "cross-entropy" if is_classifier else "variable=mse*0.5",
        "batchStatistics": False,
        "sgd": {**settings, "weight_decay": alpha / rows},
        "undecayed": "intercepts*",
        "losses": losses,
        "weights": digests(initial, weights(model)),
    }


TRAININGS = {
    "sklearn_mlp_regressor": lambda: train(regressor),
    "sklearn_mlp_classifier": lambda: train(classifier),
}
