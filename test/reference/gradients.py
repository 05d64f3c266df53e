"""Gradients of small layers, by PyTorch's autograd: of the sum of output × weights by the inputs, and by some parameters."""

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D

from common import randn, save_tensors
from formula import fill
from unet import configs


def cases():
    picture, temb = randn(1, 8, 4, 5, seed=1), randn(1, 12, seed=2)
    yield "resnet", ResnetBlock2D(in_channels=8, out_channels=16, temb_channels=12, groups=4, eps=1e-5), dict(input_tensor=picture, temb=temb)
    tokens, context = randn(1, 6, 16, seed=3), randn(1, 4, 12, seed=4)
    yield "transformer_block", BasicTransformerBlock(16, 4, 4, cross_attention_dim=12), dict(hidden_states=tokens, encoder_hidden_states=context)
    latents, text = randn(1, 4, 5, 6, seed=5), randn(1, 3, 24, seed=6)
    yield "unet", UNet2DConditionModel(**configs["stable_diffusion_2"]), dict(sample=latents, timestep=torch.tensor(300), encoder_hidden_states=text)


def make(out: Path) -> None:
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
