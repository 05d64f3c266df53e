"""FID and CLIP score of made-up features, and statistics of made-up pictures, in float64."""

from pathlib import Path

import numpy as np
import torch

from common import randn, save_json, save_tensors


def features(count: int, dimensions: int, seed: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    """Correlated, of very different spreads, as those of networks are."""
    mix = randn(dimensions, dimensions, seed=99) * torch.logspace(0, -2, dimensions)
    return (scale * randn(count, dimensions, seed=seed) @ mix + shift).numpy()


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """pytorch-fid's calculate_frechet_distance, the trace of the square root taken as the sum of the eigenvalues' roots."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    c1, c2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    difference = a.mean(0) - b.mean(0)
    roots = np.sqrt(np.linalg.eigvals(c1 @ c2).astype(complex)).real.sum()
    return float(difference @ difference + np.trace(c1) + np.trace(c2) - 2 * roots)


def frechet_distance_by_factors(a: np.ndarray, b: np.ndarray) -> float:
    """The same without a product of covariances: tr √(AᵀA BᵀB) is the nuclear norm of A Bᵀ. Exact where they are singular."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    difference = a.mean(0) - b.mean(0)
    a, b = (a - a.mean(0)) / np.sqrt(len(a) - 1), (b - b.mean(0)) / np.sqrt(len(b) - 1)
    nuclear = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(difference @ difference + (a * a).sum() + (b * b).sum() - 2 * nuclear)


def clip_score(images: torch.Tensor, texts: torch.Tensor) -> tuple[float, list[float]]:
    """torchmetrics' _clip_score_update and compute."""
    images, texts = (x.double() / x.double().norm(p=2, dim=-1, keepdim=True) for x in (images, texts))
    score = 100 * (images * texts).sum(axis=-1)
    return torch.max(score.sum(0) / len(score), torch.zeros(())).item(), score.tolist()


def haar(x: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """One level of the orthonormal Haar transform of [..., H, W]: the means, and the three bands of details."""
    a, b, c, d = x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2], x[..., 1::2, 1::2]
    return (a + b + c + d) / 2, [(a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2]


def statistics(pictures: np.ndarray) -> dict:
    """Of pictures [N, 3, H, W] of 8 bits."""
    x = pictures.astype(np.float64) / 255
    pixels = x.transpose(1, 0, 2, 3).reshape(3, -1)
    rest, energies = x, []
    while rest.shape[-1] % 2 == 0 and rest.shape[-2] % 2 == 0:
        rest, bands = haar(rest)
        energies.append([float((band**2).mean()) for band in bands])
    return {"mean": pixels.mean(1).tolist(), "std": pixels.std(1).tolist(), "wavelet": energies}


def make(out: Path) -> None:
    cases = {
        "many": (features(120, 32, 1), features(90, 32, 2, scale=1.2, shift=0.3)),
        "few": (features(20, 48, 3), features(30, 48, 4, shift=0.1)),
        "few_and_many": (features(150, 48, 5), features(12, 48, 6)),
        "far_from_zero": (features(60, 16, 7, shift=1000), features(60, 16, 8, shift=1000.5)),
        "same": (features(20, 32, 9),) * 2,
    }
    tensors, distances = {}, {}
    for name, (a, b) in cases.items():
        tensors |= {f"{name}.a": torch.from_numpy(a), f"{name}.b": torch.from_numpy(b)}
        distances[name] = {"fid": frechet_distance(a, b), "by_factors": frechet_distance_by_factors(a, b)}

    tensors["matrix"] = randn(32, 20, seed=10)
    singular_values = np.linalg.svd(tensors["matrix"].double().numpy(), compute_uv=False).tolist()

    images, texts = randn(9, 24, seed=11), randn(9, 24, seed=12)
    texts = texts + 0.5 * images
    tensors |= {"images": images, "texts": texts}
    mean, each = clip_score(images, texts)

    generator = torch.Generator().manual_seed(13)
    pictures = torch.randint(0, 256, (4, 3, 16, 24), generator=generator)
    tensors["pictures"] = pictures.float()
    save_tensors(out / "features.safetensors", tensors)
    save_json(out / "expected.json", {
        "distances": distances,
        "singular_values": singular_values,
        "clip_score": {"mean": mean, "each": each},
        "statistics": statistics(pictures.numpy()),
    })
