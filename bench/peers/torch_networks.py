"""Networks that others wrote, at sizes that people train: how PyTorch exports them, and their training step in PyTorch.

`torch_networks.py export NAME FOLDER --batch 32` writes FOLDER/network.onnx, by the exporter that traces, with batch norms as they
are, and FOLDER/batch.safetensors, a batch of random data. `torch_networks.py step --case FOLDER --memory-format contiguous` trains
from the same weights on that batch.
"""

import argparse
import json
import pathlib

import torch
import torch.nn.functional as F
from protocol import read_safetensors, resident_bytes, serve
from torch import nn

library_bytes = resident_bytes()
CLASSES, IMAGE, LENGTH = 10, 64, 128
VOCABULARY = 30522
WORDS, TAGS = 10000, 17


def resnet18() -> nn.Module:
    from torchvision.models import resnet18

    return resnet18(num_classes=CLASSES)


def mobilenet_v3_small() -> nn.Module:
    from torchvision.models import mobilenet_v3_small

    # Without its dropout: a step that draws at random does not compare.
    return mobilenet_v3_small(num_classes=CLASSES, dropout=0.0)


def vit_tiny() -> nn.Module:
    from torchvision.models import VisionTransformer

    return VisionTransformer(
        image_size=IMAGE, patch_size=8, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768, num_classes=CLASSES
    )


class Bert(nn.Module):
    """Of 2 layers and 128 channels (bert-tiny), of which only the logits are taken."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import BertConfig, BertForSequenceClassification

        size = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512}
        dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        self.model = BertForSequenceClassification(
            BertConfig(vocab_size=VOCABULARY, num_labels=CLASSES, attn_implementation="eager", **size, **dropout)
        )

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


class Tagger(nn.Module):
    """A label for each word: embedding, an LSTM in both directions, linear. Classes stand on the second axis."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 128)
        self.lstm = nn.LSTM(128, 128, batch_first=True, bidirectional=True)
        self.out = nn.Linear(256, TAGS)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.out(self.lstm(self.embedding(tokens))[0]).transpose(1, 2)


def pixels(batch: int) -> dict[str, torch.Tensor]:
    return {"x": torch.randn(batch, 3, IMAGE, IMAGE), "labels": torch.randint(CLASSES, (batch,))}


def text(batch: int) -> dict[str, torch.Tensor]:
    lengths = torch.randint(LENGTH // 2, LENGTH + 1, (batch, 1))
    return {
        "input_ids": torch.randint(VOCABULARY, (batch, LENGTH)),
        "attention_mask": (torch.arange(LENGTH) < lengths).long(),
        "labels": torch.randint(CLASSES, (batch,)),
    }


def tagged(batch: int) -> dict[str, torch.Tensor]:
    return {"tokens": torch.randint(WORDS, (batch, 32)), "labels": torch.randint(TAGS, (batch, 32))}


NETWORKS = {
    "resnet18": (resnet18, pixels),
    "mobilenet_v3_small": (mobilenet_v3_small, pixels),
    "vit_tiny": (vit_tiny, pixels),
    "bert": (Bert, text),
    "lstm_tagger": (Tagger, tagged),
}


def build(name: str) -> nn.Module:
    torch.manual_seed(1)
    network = NETWORKS[name][0]()
    # Of tensors that are equal, as all shifts are at first, the exporter makes one.
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point() and tensor.unique().numel() == 1:
                tensor += 0.01 * torch.rand_like(tensor)
    return network


def export(name: str, folder: pathlib.Path, batch: int) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(2)
    data = NETWORKS[name][1](batch)
    save_file(data, folder / "batch.safetensors")
    inputs = {key: value for key, value in data.items() if key != "labels"}
    torch.onnx.export(
        build(name).eval(),
        tuple(value[:2] for value in inputs.values()),
        folder / "network.onnx",
        dynamo=False,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        opset_version=18,
        input_names=list(inputs),
        output_names=["logits"],
        dynamic_axes={key: {0: "batch"} for key in (*inputs, "logits")},
    )


def step(case: pathlib.Path, memory_format: str, compiled: bool) -> None:
    settings = json.loads((case / "case.json").read_text())
    torch.set_num_threads(settings["threads"])
    layout = torch.channels_last if memory_format == "channels_last" else torch.contiguous_format
    net = build(settings["network"]).train(not settings["frozen"]).to(memory_format=layout)
    optimizer = torch.optim.SGD(net.parameters(), lr=settings["learningRate"], momentum=0.9, fused=True)
    data = {key: torch.from_numpy(value) for key, value in read_safetensors(case / "batch.safetensors").items()}
    labels = data.pop("labels")
    forward = torch.compile(net) if compiled else net
    inputs = {key: value.contiguous(memory_format=layout) if value.dim() == 4 else value for key, value in data.items()}

    def once() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(forward(**inputs), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    serve(once, version=f"PyTorch {torch.__version__}", libraryBytes=library_bytes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    exporting = commands.add_parser("export")
    exporting.add_argument("name", choices=NETWORKS)
    exporting.add_argument("folder", type=pathlib.Path)
    exporting.add_argument("--batch", type=int, required=True)
    training = commands.add_parser("step")
    training.add_argument("--case", type=pathlib.Path, required=True)
    training.add_argument("--memory-format", choices=["contiguous", "channels_last"], required=True)
    training.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    if options.command == "export":
        export(options.name, options.folder, options.batch)
    else:
        step(options.case, options.memory_format, options.compile)
