"""PyTorch's networks for exports.py: narrow ones of the libraries that people use, and some for what exporters do with one module."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import segmentation_models_pytorch as smp
import torch
import transformers
from monai.networks.nets import UNet
from timm.models.resnet import BasicBlock, ResNet
from torch import nn
from torch.nn import functional as F
from torchvision.models import (
    DenseNet,
    EfficientNet,
    MobileNetV3,
    ShuffleNetV2,
    SwinTransformer,
    VisionTransformer,
)
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.efficientnet import MBConvConfig
from torchvision.models.mobilenetv3 import InvertedResidualConfig

from .formulas import wave

CLASSES, VOCABULARY = 10, 64


@dataclass(frozen=True)
class Input:
    """One input: its shape without the batch, and the names of further axes that files leave open."""

    shape: tuple[int, ...]
    open: dict[int, str] = field(default_factory=dict)
    # Whole numbers from the first on, below the second; floats around 0 unless given.
    range: tuple[int, int] | None = None
    # What conformance/networks.mjs draws from, where that is more than what an export and training see.
    drawn: tuple[int, int] | None = None

    @property
    def axes(self):
        return {0: "batch", **self.open}

    def sizes(self, more=0):
        """The sizes that it is exported with; `more` of each that a file leaves open."""
        return [size + more * (axis in self.axes) for axis, size in enumerate((2, *self.shape))]

    def wave(self, start=0.0, more=0):
        """sin(0.37 i + start), brought into the range."""
        return torch.tensor(wave(self.sizes(more), start, self.range))


@dataclass(frozen=True)
class Network:
    build: Callable[[], nn.Module]
    inputs: dict[str, Input]
    exporters: tuple[str, ...] = ("dynamo", "script")
    loss: str = "cross-entropy"
    # The axis of the classes.
    classes: int = 1
    # Exported as it trains.
    training: bool = False


def image(channels, size):
    return {"image": Input((channels, size, size))}


def tokens(name="tokens", length=6):
    return Input((length,), {1: "length"}, (0, VOCABULARY))


def mobilenet_v3():
    block = partial(InvertedResidualConfig, width_mult=0.125)
    settings = [
        block(16, 3, 16, 16, True, "RE", 2, 1),
        block(16, 3, 72, 24, False, "RE", 2, 1),
        block(24, 5, 96, 40, True, "HS", 2, 1),
        block(40, 5, 120, 48, True, "HS", 1, 1),
    ]
    return MobileNetV3(settings, last_channel=16, num_classes=CLASSES)


def efficientnet():
    block = partial(MBConvConfig, width_mult=0.125, depth_mult=0.5)
    settings = [
        block(1, 3, 1, 32, 16, 1),
        block(6, 3, 2, 16, 24, 2),
        block(6, 5, 2, 24, 40, 2),
        block(6, 3, 2, 40, 80, 3),
    ]
    return EfficientNet(settings, dropout=0.2, num_classes=CLASSES, last_channel=32)


def convnext():
    blocks = [CNBlockConfig(8, 12, 1), CNBlockConfig(12, 16, 1), CNBlockConfig(16, 24, 2), CNBlockConfig(24, None, 1)]
    return ConvNeXt(blocks, num_classes=CLASSES)


def vit():
    size = {"image_size": 16, "patch_size": 4, "num_layers": 2, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 32}
    return VisionTransformer(**size, num_classes=CLASSES)


def swin():
    return SwinTransformer(
        patch_size=[2, 2], embed_dim=8, depths=[2, 1], num_heads=[2, 2], window_size=[2, 2], num_classes=CLASSES
    )


def unet():
    narrow = {"channels": (4, 6, 8, 12), "stem_type": "deep", "stem_width": 4}
    return smp.Unet(
        "tu-resnet18", encoder_weights=None, encoder_depth=4, decoder_channels=(12, 8, 8, 4), classes=3, **narrow
    )


class Logits(nn.Module):
    """A model of transformers, of which only the logits are taken."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def bert():
    config = transformers.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    return Logits(transformers.BertForSequenceClassification(config))


def gpt2():
    # Exporters make two weights of one that is used as it is and transposed: tied weights would come apart.
    ends = {"bos_token_id": 0, "eos_token_id": 0, "tie_word_embeddings": False}
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_positions=32, n_embd=16, n_layer=2, n_head=2, use_cache=False, **ends
    )
    return Logits(transformers.GPT2LMHeadModel(config))


def llama():
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        use_cache=False,
    )
    return Logits(transformers.LlamaForCausalLM(config))


class Tagger(nn.Module):
    """A label for each word: embedding, recurrent layers in both directions, linear."""

    def __init__(self, recurrent, layers):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 12)
        self.recurrent = recurrent(12, 10, num_layers=layers, batch_first=True, bidirectional=True)
        self.out = nn.Linear(20, 5)

    def forward(self, tokens):
        return self.out(self.recurrent(self.embedding(tokens))[0])


class LastState(nn.Module):
    """A number for each series: two GRU layers, the last state of the upper one."""

    def __init__(self):
        super().__init__()
        self.recurrent = nn.GRU(3, 10, num_layers=2)
        self.out = nn.Linear(10, 1)

    def forward(self, series):
        _, state = self.recurrent(series.transpose(0, 1))
        return self.out(state[-1])


def mlp():
    return nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 16), nn.SiLU(), nn.Linear(16, 2))


class CausalAttention(nn.Module):
    """Attention three ways: fused, with a mask by torch.where, by einsum."""

    def __init__(self):
        super().__init__()
        self.into = nn.Linear(12, 36)
        self.norm = nn.LayerNorm(12, bias=False)
        self.scale = nn.Parameter(torch.rand(2))

    def forward(self, series):
        q, k, v = (
            part.unflatten(-1, (2, 6)).transpose(1, 2) for part in torch.split(self.into(self.norm(series)), 12, dim=-1)
        )
        fused = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        scores = torch.einsum("bhqd,bhkd->bhqk", q * self.scale.view(2, 1, 1), k)
        place = torch.arange(series.size(1))
        masked = torch.where(place > place.unsqueeze(1), -1e9, scores).softmax(-1)
        return series + (fused + torch.einsum("bhqk,bhkd->bhqd", masked, v)).transpose(1, 2).flatten(2)


class Encoder(nn.Module):
    """A class for each text: nn.TransformerEncoder, padding masked, the mean of what is left."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 12)
        layer = nn.TransformerEncoderLayer(12, 2, 24, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(12, CLASSES)

    def forward(self, tokens):
        padding = tokens == 0
        encoded = self.encoder(self.embedding(tokens), src_key_padding_mask=padding)
        pooled = encoded.masked_fill(padding.unsqueeze(-1), 0).sum(1) / (~padding).sum(1, keepdim=True).clamp(min=1)
        return self.out(pooled)


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(VOCABULARY, 12, mode="mean")
        self.out = nn.Linear(12, CLASSES)

    def forward(self, tokens):
        return self.out(self.bag(tokens))


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(2, 8, 3, stride=2, padding=1),
            nn.GroupNorm(2, 8),
            nn.PReLU(8),
            nn.Conv2d(8, 12, 3, stride=2, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(12, affine=True),
            nn.LeakyReLU(0.1),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(12, 8, 3, stride=2, padding=1, output_padding=1),
            nn.ELU(),
            nn.PixelShuffle(2),
            nn.ConvTranspose2d(2, 2, 4, groups=2, padding=(1, 2)),
            nn.Hardtanh(),
        )

    def forward(self, image):
        return self.decoder(self.encoder(image))


class SpatialTransformer(nn.Module):
    """Turns an image before it looks at it."""

    def __init__(self):
        super().__init__()
        self.locate = nn.Sequential(nn.Conv2d(1, 4, 5), nn.MaxPool2d(2, ceil_mode=True), nn.Softplus())
        self.affine = nn.Linear(4 * 16, 6)
        self.conv = nn.Conv2d(1, 6, 3)
        self.out = nn.Linear(6, CLASSES)

    def forward(self, image):
        place = self.locate(F.interpolate(image, size=(12, 12), mode="bicubic", align_corners=False))
        still = torch.tensor([1.0, 0, 0, 0, 1, 0])
        affine = still + 0.1 * torch.tanh(self.affine(place.view(place.size(0), -1)))
        grid = F.affine_grid(affine.view(-1, 2, 3), list(image.shape), align_corners=False)
        turned = F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
        pooled = F.adaptive_avg_pool2d(torch.sigmoid(self.conv(turned)), 1)
        return self.out(pooled.view(pooled.size(0), -1))


class TemporalConvolutions(nn.Module):
    """Dilated causal convolutions, their weights in length and direction, and gates."""

    def __init__(self):
        super().__init__()
        normed = nn.utils.parametrizations.weight_norm
        self.layers = nn.ModuleList(normed(nn.Conv1d(4 if k else 2, 8, 3, dilation=2**k)) for k in range(3))
        self.out = nn.Conv1d(4, 3, 1)

    def forward(self, signal):
        y = signal
        for k, layer in enumerate(self.layers):
            value, gate = layer(F.pad(y, (2 * 2**k, 0))).chunk(2, dim=1)
            y = torch.tanh(value) * torch.sigmoid(gate) + (y if k else 0)
        return F.adaptive_max_pool1d(self.out(y), 1).squeeze(-1)


def batch_norm():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU6(),
        nn.Dropout(0.0),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(6 * 4, CLASSES),
    )


# Of what is masked altogether today's exporter makes something else than PyTorch: nothing is masked in training.
text = {"input_ids": tokens(), "attention_mask": Input((6,), {1: "length"}, (1, 2), drawn=(0, 2))}

NETWORKS = {
    "resnet18": Network(
        lambda: ResNet(BasicBlock, [2, 2, 2, 2], channels=(4, 6, 8, 12), num_classes=CLASSES),
        image(3, 32),
        ("dynamo", "script", "script9"),
    ),
    "mobilenet_v3_small": Network(mobilenet_v3, image(3, 32)),
    "efficientnet_b0": Network(efficientnet, image(3, 32)),
    "convnext_tiny": Network(convnext, image(3, 32)),
    "shufflenet_v2": Network(lambda: ShuffleNetV2([1, 2, 1], [8, 8, 16, 32, 32], num_classes=CLASSES), image(3, 32)),
    "densenet": Network(
        lambda: DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=8, num_classes=CLASSES), image(3, 32)
    ),
    "vit_tiny": Network(vit, image(3, 16)),
    "swin_tiny": Network(swin, image(3, 16)),
    "unet_smp": Network(unet, image(3, 32)),
    "unet_monai": Network(
        lambda: UNet(2, in_channels=1, out_channels=2, channels=(4, 8, 16), strides=(2, 2), num_res_units=1),
        image(1, 16),
    ),
    "bert": Network(bert, text),
    "gpt2": Network(gpt2, text, classes=-1),
    "llama": Network(llama, text, classes=-1),
    "lstm_tagger": Network(
        lambda: Tagger(nn.LSTM, 1), {"tokens": tokens()}, ("dynamo", "script", "script11"), classes=-1
    ),
    "gru": Network(LastState, {"series": Input((5, 3), {1: "length"})}, loss="mse"),
    "mlp": Network(mlp, {"features": Input((8,))}, loss="mse"),
    "causal_attention": Network(CausalAttention, {"series": Input((5, 12), {1: "length"})}, loss="mse"),
    # TorchScript's exporter fixes the length.
    "transformer_encoder": Network(Encoder, {"tokens": Input((6,), range=(0, VOCABULARY))}),
    "embedding_bag": Network(Bag, {"tokens": Input((6,), range=(0, VOCABULARY))}),
    "autoencoder": Network(Autoencoder, image(2, 12), loss="mse"),
    "spatial_transformer": Network(SpatialTransformer, image(1, 16)),
    "temporal_convolutions": Network(TemporalConvolutions, {"signal": Input((2, 20), {2: "length"})}),
    "batch_norm_training": Network(batch_norm, image(2, 8), ("script",), training=True),
}
