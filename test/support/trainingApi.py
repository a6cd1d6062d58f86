"""A list of actions on training artifacts, by ONNX Runtime's training API for Python: JSON on both standard streams."""

import json
import sys
import types

import numpy as np
import onnxruntime

# `onnxruntime.training` imports PyTorch, which its training API does not use.
package = types.ModuleType("onnxruntime.training")
package.__path__ = [f"{onnxruntime.__path__[0]}/training"]
sys.modules[package.__name__] = package

from onnxruntime.training.api import CheckpointState, Module, Optimizer

job = json.load(sys.stdin)
folder = job["folder"]
batches = [[np.array(t["data"], t["dtype"]).reshape(t["shape"]) for t in batch.values()] for batch in job["batches"]]
evaluated = [[np.array(t["data"], t["dtype"]).reshape(t["shape"]) for n, t in b.items() if n != "gates"] for b in job["batches"]]


class Session:
    def __init__(self, checkpoint):
        self.state = CheckpointState.load_checkpoint(checkpoint)
        self.model = Module(f"{folder}/training_model.onnx", self.state, f"{folder}/eval_model.onnx")
        self.optimizer = Optimizer(f"{folder}/optimizer_model.onnx", self.model)

    def outputs(self, batch):
        values = self.model(*batch)
        return {name: value.flatten().tolist() for name, value in zip(self.model.output_names(), values)}

    def train(self, index):
        self.model.train()
        return self.outputs(batches[index])

    def eval(self, index):
        self.model.eval()
        return self.outputs(evaluated[index])

    def update(self):
        self.optimizer.step()

    def reset(self):
        self.model.lazy_reset_grad()

    def rate(self, value):
        self.optimizer.set_learning_rate(value)

    def contiguous(self):
        return {"parameters": self.model.get_contiguous_parameters().numpy().tolist()}

    def named(self):
        return {name: parameter.data.flatten().tolist() for name, parameter in self.state.parameters}

    def trained(self):
        return {name: [int(parameter.requires_grad)] for name, parameter in self.state.parameters}

    def export(self, file):
        self.model.export_model_for_inferencing(f"{folder}/{file}", ["logits"])

    def reload(self):
        CheckpointState.save_checkpoint(self.state, f"{folder}/saved", include_optimizer_state=True)
        self.__init__(f"{folder}/saved")


session = Session(f"{folder}/checkpoint")
json.dump([getattr(session, name)(*given) or {} for name, *given in job["actions"]], sys.stdout)
