"""Gradients of small layers, by PyTorch's autograd: of the sum of output × weights by the inputs, and by some parameters.

`layers.safetensors` has one small case of every kind of layer: inputs and directions are numbers of a formula, so it holds gradients
alone, by all inputs and all parameters.
"""

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock, FeedForward
from diffusers.models.attention_processor import Attention
from diffusers.models.downsampling import Downsample2D
from diffusers.models.embeddings import TimestepEmbedding
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets.unet_2d_blocks import CrossAttnDownBlock2D, CrossAttnUpBlock2D, UNetMidBlock2DCrossAttn
from diffusers.models.upsampling import Upsample2D
from torch import nn
from transformers import SiglipTextConfig, SwinConfig
from transformers.models.siglip.modeling_siglip import SiglipEncoderLayer, SiglipTextEmbeddings
from transformers.models.swin.modeling_swin import SwinAttention, SwinLayer, SwinPatchEmbeddings, SwinPatchMerging

from common import randn, save_tensors
from formula import fill, uniform
from unet import configs


def cases():
    picture, temb = randn(1, 8, 4, 5, seed=1), randn(1, 12, seed=2)
    yield "resnet", ResnetBlock2D(in_channels=8, out_channels=16, temb_channels=12, groups=4, eps=1e-5), dict(input_tensor=picture, temb=temb)
    tokens, context = randn(1, 6, 16, seed=3), randn(1, 4, 12, seed=4)
    yield "transformer_block", BasicTransformerBlock(16, 4, 4, cross_attention_dim=12), dict(hidden_states=tokens, encoder_hidden_states=context)
    latents, text = randn(1, 4, 5, 6, seed=5), randn(1, 3, 24, seed=6)
    yield "unet", UNet2DConditionModel(**configs["stable_diffusion_2"]), dict(sample=latents, timestep=torch.tensor(300), encoder_hidden_states=text)


siglip = SiglipTextConfig(vocab_size=9, hidden_size=8, intermediate_size=12, num_attention_heads=2, max_position_embeddings=5, hidden_act="gelu_pytorch_tanh")
siglip._attn_implementation = "eager"
swin = SwinConfig(image_size=8, patch_size=2, embed_dim=8, window_size=4, hidden_act="gelu")
block = dict(temb_channels=12, resnet_groups=4, resnet_eps=1e-5, num_attention_heads=2, cross_attention_dim=12, use_linear_projection=True)
ids = torch.tensor([[3, 8, 3, 0], [1, 3, 6, 6]])


def layers():
    """The layer, the shapes of its inputs, and how it is called where that is not obvious. Some give several tensors."""
    picture, tokens, context, temb = (2, 16, 4, 5), (2, 6, 16), (2, 3, 12), (2, 12)
    yield "linear", nn.Linear(6, 4), dict(x=(2, 5, 6))
    yield "conv", nn.Conv2d(4, 6, 3, padding=1), dict(x=(2, 4, 5, 6))
    yield "conv_1", nn.Conv2d(4, 6, 1), dict(x=(2, 4, 5, 6))
    yield "conv_strided", nn.Conv2d(4, 6, 3, stride=2, padding=1), dict(x=(2, 4, 5, 6))
    yield "group_norm", nn.GroupNorm(2, 6), dict(x=(2, 6, 3, 4))
    yield "layer_norm", nn.LayerNorm(6), dict(x=(2, 5, 6))
    yield "embedding", nn.Embedding(9, 4), {}, lambda layer: layer(ids)
    yield "timestep_embedding", TimestepEmbedding(8, 16, cond_proj_dim=4), dict(x=(2, 8), condition=(2, 4))
    yield "feed_forward", FeedForward(16), dict(x=tokens)
    yield "attention", Attention(16, cross_attention_dim=12, heads=2, dim_head=8), dict(x=tokens, context=context)
    yield "transformer_block", BasicTransformerBlock(16, 2, 8, cross_attention_dim=12), dict(x=tokens, context=context), lambda layer, x, context: layer(x, encoder_hidden_states=context)
    for projection in "linear", "conv":
        options = dict(num_layers=1, norm_num_groups=4, cross_attention_dim=12, use_linear_projection=projection == "linear")
        yield f"spatial_transformer_{projection}", Transformer2DModel(2, 8, in_channels=16, **options), dict(x=picture, context=context), lambda layer, x, context: layer(x, encoder_hidden_states=context).sample
    yield "spatial_attention", Attention(16, heads=1, dim_head=16, norm_num_groups=4, eps=1e-6, bias=True, residual_connection=True), dict(x=picture)
    yield "downsample", Downsample2D(4, use_conv=True, padding=1, name="op"), dict(x=(2, 4, 5, 6))
    yield "downsample_end", Downsample2D(4, use_conv=True, padding=0, name="op"), dict(x=(2, 4, 5, 6))
    yield "upsample", Upsample2D(4, use_conv=True), dict(x=(2, 4, 3, 5))
    yield "resnet", ResnetBlock2D(in_channels=16, out_channels=8, temb_channels=12, groups=4, eps=1e-5), dict(x=picture, temb=temb)
    yield "down_block", CrossAttnDownBlock2D(16, 8, num_layers=2, **block), dict(x=picture, temb=temb, context=context), lambda layer, *inputs: layer(*inputs)[1]
    yield "mid_block", UNetMidBlock2DCrossAttn(16, **block), dict(x=picture, temb=temb, context=context)
    up = CrossAttnUpBlock2D(4, 8, 16, num_layers=2, **block)
    yield "up_block", up, dict(x=picture, temb=temb, context=context, skip_1=(2, 4, 4, 5), skip_2=(2, 8, 4, 5)), lambda layer, x, temb, context, *skips: layer(x, skips, temb, context)
    yield "text_embeddings", SiglipTextEmbeddings(siglip), {}, lambda layer: layer(ids)
    yield "text_encoder_layer", SiglipEncoderLayer(siglip), dict(x=(2, 4, 8), bias=(2, 1, 1, 4)), lambda layer, x, bias: layer(x, bias.expand(2, 1, 4, 4))[0]
    yield "window_attention", SwinAttention(swin, 8, 2, 4), dict(x=(3, 16, 8)), lambda layer, x: layer(x)[0]
    yield "swin_block", SwinLayer(swin, 8, (6, 9), 2, shift_size=2), dict(x=(2, 54, 8)), lambda layer, x: layer(x, (6, 9))[0]
    yield "patch_embedding", SwinPatchEmbeddings(swin), dict(x=(2, 3, 5, 6)), lambda layer, x: layer(x)[0]
    yield "patch_merging", SwinPatchMerging((5, 6), 4), dict(x=(2, 30, 4)), lambda layer, x: layer(x, (5, 6))


def numbers(name: str, shape) -> torch.Tensor:
    return uniform(name, torch.Size(shape).numel()).float().reshape(shape)


def gradients_of(name: str, layer: nn.Module, shapes: dict, run=lambda layer, *inputs: layer(*inputs)) -> dict:
    fill(layer)
    with torch.enable_grad():
        inputs = {key: numbers(f"{name}.{key}", shape).requires_grad_(True) for key, shape in shapes.items()}
        outputs = run(layer, *inputs.values())
        outputs = [outputs] if torch.is_tensor(outputs) else outputs
        sum((output * numbers(f"{name}.direction.{i}", output.shape)).sum() for i, output in enumerate(outputs)).backward()
    gradients = {f"{name}/input.{key}": value.grad for key, value in inputs.items()}
    return gradients | {f"{name}/parameter.{key}": value.grad for key, value in layer.named_parameters()}


def make(out: Path) -> None:
    save_tensors(out / "layers.safetensors", {key: value for case in layers() for key, value in gradients_of(*case).items()})
    for name, model, inputs in cases():
        fill(model)
        with torch.enable_grad():
            leaves = {key: value.requires_grad_(True) for key, value in inputs.items() if value.is_floating_point()}
            output = model(**inputs)
            output = output.sample if name == "unet" else output
            direction = randn(*output.shape, seed=7)
            (output * direction).sum().backward()
        tensors = {"direction": direction}
        for key, value in leaves.items():
            tensors |= {f"input.{key}": value, f"gradient.{key}": value.grad}
        tensors |= {f"parameter.{key}": value.grad for key, value in list(model.named_parameters())[:: 1 if name != "unet" else 12]}
        save_tensors(out / f"{name}.safetensors", tensors)
