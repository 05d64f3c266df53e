"""The primitive layers and operations in PyTorch, and diffusers' layers of transformers and of time, with weights from a formula.

One file holds all: a case's inputs under `case/x`, `case/context` and so on, what came out under `case/output`.
"""

from pathlib import Path

import torch
from diffusers.models.attention import BasicTransformerBlock, FeedForward
from diffusers.models.embeddings import TimestepEmbedding, get_timestep_embedding
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import nn
from torch.nn import functional as F

from common import randn, save_tensors
from formula import fill


def primitives():
    rows, picture = randn(2, 5, 6, seed=1), randn(2, 6, 7, 9, seed=2)
    yield "linear", nn.Linear(6, 4), {"x": rows}
    yield "linear_without_bias", nn.Linear(6, 4, bias=False), {"x": rows[:, 0]}
    yield "conv_1", nn.Conv2d(6, 4, 1), {"x": picture}
    yield "conv_3", nn.Conv2d(6, 4, 3, padding=1), {"x": picture}
    yield "conv_3_valid", nn.Conv2d(6, 4, 3, bias=False), {"x": picture}
    yield "conv_5", nn.Conv2d(6, 4, 5, padding=2), {"x": picture}
    yield "conv_strided", nn.Conv2d(6, 4, 3, stride=2, padding=1), {"x": picture}
    yield "conv_patches", nn.Conv2d(6, 4, 2, stride=2), {"x": picture}
    yield "conv_padded_wide", nn.Conv2d(6, 4, 3, padding=2), {"x": picture}
    yield "group_norm", nn.GroupNorm(3, 6, eps=1e-6), {"x": picture}
    yield "group_norm_far_from_0", nn.GroupNorm(2, 6, eps=1e-5), {"x": picture + 10}
    yield "layer_norm", nn.LayerNorm(6), {"x": rows}
    yield "layer_norm_far_from_0", nn.LayerNorm(6, eps=1e-6), {"x": rows + 10}
    yield "embedding", nn.Embedding(7, 4), {"x": torch.tensor([[0, 6, 3], [2, 2, 5]])}


def layers():
    tokens, picture, context = randn(2, 6, 16, seed=3), randn(2, 16, 3, 5, seed=4), randn(2, 4, 12, seed=5)
    yield "timestep_embedding", TimestepEmbedding(8, 16), {"x": randn(2, 8, seed=6)}
    yield "timestep_embedding_condition", TimestepEmbedding(8, 16, cond_proj_dim=4), {"x": randn(2, 8, seed=6), "condition": randn(2, 4, seed=7)}
    yield "feed_forward", FeedForward(16), {"x": tokens}
    yield "transformer_block", BasicTransformerBlock(16, 4, 4, cross_attention_dim=12), {"x": tokens, "context": context}
    yield "transformer_block_context", BasicTransformerBlock(16, 2, 8, cross_attention_dim=12, only_cross_attention=True), {"x": tokens, "context": context}
    bias = torch.tensor([[[0.0, 0, -10000, 0]], [[0, -10000, -10000, 0]]])
    yield "transformer_block_masked", BasicTransformerBlock(16, 4, 4, cross_attention_dim=12), {"x": tokens, "context": context, "bias": bias}
    # So small that the eps of the norms is seen.
    yield "transformer_block_small", BasicTransformerBlock(16, 4, 4, cross_attention_dim=12), {"x": tokens * 0.01, "context": context}
    yield "spatial_transformer_small", Transformer2DModel(2, 8, in_channels=16, num_layers=0, norm_num_groups=4), {"x": picture * 0.001, "context": context}
    for depth in 0, 2:
        for projection in "linear", "conv":
            options = dict(num_layers=depth, norm_num_groups=4, cross_attention_dim=12, use_linear_projection=projection == "linear")
            yield f"spatial_transformer_{projection}_{depth}", Transformer2DModel(2, 8, in_channels=16, **options), {"x": picture, "context": context}


def call(layer, x, context=None, bias=None, condition=None):
    if isinstance(layer, BasicTransformerBlock):
        return layer(x, encoder_hidden_states=context, encoder_attention_mask=bias)
    if isinstance(layer, Transformer2DModel):
        return layer(x, encoder_hidden_states=context).sample
    return layer(x) if condition is None else layer(x, condition)


def sinusoids():
    times = torch.tensor([0.0, 1, 3.25, 250, 500.5, 946.421, 999, 999.5])
    for channels, flip, shift in (32, True, 0), (32, False, 1), (33, True, 0), (320, True, 0), (384, False, 0):
        name = f"sinusoid/{channels}_{'flipped' if flip else 'plain'}_{shift}"
        yield name, times, get_timestep_embedding(times, channels, flip_sin_to_cos=flip, downscale_freq_shift=shift)


def attention():
    q, k, v = randn(2, 7, 12, seed=8), randn(2, 5, 12, seed=9), randn(2, 5, 12, seed=10)
    biases = {"none": None, "tokens": randn(2, 1, 1, 5, seed=11), "pairs": randn(1, 1, 7, 5, seed=12), "heads": randn(2, 3, 7, 5, seed=13)}
    for name, bias in biases.items():
        split = lambda x: x.reshape(2, -1, 3, 4).transpose(1, 2)
        output = F.scaled_dot_product_attention(split(q), split(k), split(v), attn_mask=None if bias is None else bias.expand(2, 3, 7, 5))
        tensors = {"q": q, "k": k, "v": v, "bias": bias, "output": output.transpose(1, 2).reshape(2, 7, 12)}
        yield f"attention/{name}", {key: value for key, value in tensors.items() if value is not None}


activations = {
    "silu": F.silu,
    "gelu": F.gelu,
    "geluTanh": lambda x: F.gelu(x, approximate="tanh"),
    "quickGelu": lambda x: x * torch.sigmoid(1.702 * x),
}


def make(out: Path) -> None:
    tensors = {}
    for name, layer, inputs in [*primitives(), *layers()]:
        output = call(fill(layer), **inputs)
        tensors |= {f"{name}/{key}": value for key, value in {**inputs, "output": output}.items()}
    for name, times, output in sinusoids():
        tensors |= {f"{name}/x": times, f"{name}/output": output}
    for name, parts in attention():
        tensors |= {f"{name}/{key}": value for key, value in parts.items()}
    x = torch.linspace(-12, 12, 97)
    for name, activation in activations.items():
        tensors |= {f"{name}/x": x, f"{name}/output": activation(x)}
    save_tensors(out / "layers.safetensors", tensors)
