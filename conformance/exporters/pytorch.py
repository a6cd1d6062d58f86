"""PyTorch's exporters: today's, which goes by torch.export, and TorchScript's, by tracing."""

import onnx
import torch

from .pytorch_networks import NETWORKS


def lived(model):
    """As if trained: what starts at 0 or 1 has moved. Weights keep eight bits each, and pack well."""
    generator = torch.Generator().manual_seed(7)
    noise = lambda value: torch.randn(value.shape, generator=generator)
    with torch.no_grad():
        for parameter in model.parameters():
            # Of weights that are equal, as in layers that are copies, exporters make one.
            is_new = parameter.dim() < 2 or parameter.unique().numel() == 1
            parameter += (0.1 if is_new else 0.01) * noise(parameter)
            parameter.copy_(parameter.bfloat16())
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer += (0.1 * noise(buffer)).bfloat16()
            if name.endswith("running_var"):
                buffer *= (1 + 0.3 * torch.tanh(noise(buffer))).bfloat16()
    return model


def built(network):
    torch.manual_seed(7)
    return lived(network.build()).train(network.training)


def bare(graph):
    """Without what exporters say of where each node comes from: it names folders of the machine, and is half the file."""
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
        for attribute in node.attribute:
            bare(attribute.g)


def export(network, exporter, path):
    model = built(network)
    inputs = {name: given.wave(k) for k, (name, given) in enumerate(network.inputs.items())}
    names = {"input_names": list(inputs), "output_names": ["y"]}
    if exporter == "dynamo":
        dims = {}
        shapes = [
            {axis: dims.setdefault(name, torch.export.Dim(name)) for axis, name in given.axes.items()}
            for given in network.inputs.values()
        ]
        torch.onnx.export(
            model, tuple(inputs.values()), path, dynamo=True, dynamic_shapes=shapes, external_data=False, **names
        )
    else:
        opset = exporter.removeprefix("script")
        axes = {name: given.axes for name, given in network.inputs.items()}
        mode = torch.onnx.TrainingMode.TRAINING if network.training else torch.onnx.TrainingMode.EVAL
        torch.onnx.export(
            model,
            tuple(inputs.values()),
            path,
            dynamo=False,
            dynamic_axes={**axes, "y": {0: "batch"}},
            training=mode,
            do_constant_folding=not network.training,
            opset_version=int(opset) if opset else None,
            **names,
        )


def of_torch(network, exporter):
    def write(path):
        export(network, exporter, path)
        model = onnx.load(path)
        for graph in (model.graph, *model.functions):
            bare(graph)
        onnx.save(model, path)
        options = {"shapes": {name: given.sizes(more=1) for name, given in network.inputs.items()}}
        ranges = {name: list(given.drawn or given.range) for name, given in network.inputs.items() if given.range}
        return {**options, "range": ranges} if ranges else options

    return write


WRITERS = {
    f"{name}.{exporter}": of_torch(network, exporter)
    for name, network in NETWORKS.items()
    for exporter in network.exporters
}
