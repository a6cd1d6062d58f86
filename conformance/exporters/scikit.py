"""scikit-learn's networks, by skl2onnx."""

import pathlib

import numpy as np
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def of_sklearn(build, **options):
    def write(path):
        random = np.random.default_rng(7)
        features = random.standard_normal((200, 6)).astype(np.float32)
        labels = (features @ random.standard_normal((6, 3))).argmax(1)
        model = build().fit(features, labels)
        proto = to_onnx(model, features[:1], name="network", options={id(model): options} if options else None)
        pathlib.Path(path).write_bytes(proto.SerializeToString())
        return {"shapes": {"X": [3, 6]}}

    return write


def mlp(kind, **options):
    return kind(hidden_layer_sizes=(16, 8), max_iter=300, random_state=7, **options)


WRITERS = {
    "sklearn_mlp_regressor.skl2onnx": of_sklearn(lambda: mlp(MLPRegressor, activation="tanh")),
    "sklearn_mlp_classifier.skl2onnx": of_sklearn(lambda: mlp(MLPClassifier), zipmap=False),
    "sklearn_logistic.skl2onnx": of_sklearn(LogisticRegression, zipmap=False),
    "sklearn_pipeline.skl2onnx": of_sklearn(lambda: make_pipeline(StandardScaler(), mlp(MLPRegressor))),
}
