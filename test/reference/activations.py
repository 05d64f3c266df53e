"""transformers' activations by name, from far below zero to far above."""

from pathlib import Path

import torch
from common import save_tensors
from transformers.activations import ACT2FN


def make(out: Path) -> None:
    x = torch.cat([torch.linspace(-6, 6, 97), torch.tensor([-100.0, 100.0, -1e-3, 0.0, 1e-3])])
    names = ["gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "swish"]
    save_tensors(out / "activations.safetensors", {"x": x, **{name: ACT2FN[name](x) for name in names}})
