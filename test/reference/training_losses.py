"""The losses of an autoencoder, a CLIP and a classifier in training, and their gradients, by PyTorch."""

from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from common import randn, save_tensors

LEVELS = 3


def haar(x: torch.Tensor) -> list[torch.Tensor]:
    """Haar's transform as a convolution with a stride of 2: [coarse, across, down, both]."""
    channels = x.shape[1]
    low, high = torch.tensor([1.0, 1.0]) / 2**0.5, torch.tensor([1.0, -1.0]) / 2**0.5
    filters = [torch.outer(low, low), torch.outer(low, high), torch.outer(high, low), torch.outer(high, high)]
    return [F.conv2d(x, f.expand(channels, 1, 2, 2), stride=2, groups=channels) for f in filters]


def wavelet_loss(error: torch.Tensor) -> torch.Tensor:
    terms, x = [], error
    for _ in range(LEVELS):
        x, *details = haar(x)
        terms += [band.abs().mean() for band in details]
    return torch.stack([*terms, x.abs().mean()]).mean()


def info_nce(pictures: torch.Tensor, texts: torch.Tensor, logit_scale: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """CLIPModel's loss, but for what is as right as the right answer."""
    logits = F.normalize(pictures) @ F.normalize(texts).t() * logit_scale.exp()
    logits = logits.masked_fill((same > 0) & ~torch.eye(len(same), dtype=torch.bool), float("-inf"))
    answers = torch.arange(len(same))
    return (F.cross_entropy(logits, answers) + F.cross_entropy(logits.t(), answers)) / 2


def save(out: Path, name: str, loss, inputs: dict, constants: dict, more: dict | None = None) -> None:
    """The inputs, the loss and its gradient by each."""
    with torch.enable_grad():
        leaves = {key: value.clone().requires_grad_(True) for key, value in inputs.items()}
        value = loss(**leaves, **constants)
        value.backward()
    tensors = {**inputs, **constants, **(more or {}), "loss": value}
    tensors |= {f"gradient.{key}": leaf.grad for key, leaf in leaves.items()}
    save_tensors(out / f"{name}.safetensors", tensors)


def make(out: Path) -> None:
    error = randn(2, 3, 16, 24, seed=1)
    save(out, "wavelet", wavelet_loss, {"error": error}, {}, {f"haar.{i}": band for i, band in enumerate(haar(error))})

    moments = {"mean": randn(2, 4, 3, 5, seed=2), "logvar": randn(2, 4, 3, 5, seed=3)}
    kl = lambda mean, logvar: DiagonalGaussianDistribution(torch.cat([mean, logvar], 1)).kl().sum() / mean.numel()
    save(out, "kl", kl, moments, {})

    same = torch.eye(5)
    same[0, 3] = same[3, 0] = same[2, 4] = 1
    pairs = {"pictures": randn(5, 8, seed=4), "texts": randn(5, 8, seed=5), "logit_scale": torch.tensor(2.5)}
    save(out, "contrastive", info_nce, pairs, {"same": same})

    logits = 3 * randn(4, 5, seed=6)
    logits[0, 0], logits[1, 1] = 200, -200
    targets = (randn(4, 5, seed=7) > 0.5).float()
    save(out, "multi_label", F.binary_cross_entropy_with_logits, {"input": logits}, {"target": targets})
