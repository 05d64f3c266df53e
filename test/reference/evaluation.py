"""FID and CLIP score of made-up features in float64, and of folders of pictures by a made-up CLIP; statistics of pictures."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, SiglipTextModel, SiglipTokenizer, ViTImageProcessor

from common import randn, randomize, save_json, save_tensors

tiny = Path(__file__).resolve().parents[2] / "weights" / "tiny"


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
    """Of pictures [N, H, W, 3] of 8 bits."""
    x = pictures.transpose(0, 3, 1, 2).astype(np.float64) / 255
    pixels = x.transpose(1, 0, 2, 3).reshape(3, -1)
    rest, energies = x, []
    while rest.shape[-1] % 2 == 0 and rest.shape[-2] % 2 == 0:
        rest, bands = haar(rest)
        energies.append([float((band**2).mean()) for band in bands])
    return {"mean": pixels.mean(1).tolist(), "std": pixels.std(1).tolist(), "wavelet": energies}


def pictures(count: int, seed: int, contrast: float) -> np.ndarray:
    """Of colours that flow into each other, with some noise."""
    coarse = randn(count, 3, 4, 6, seed=seed)
    smooth = torch.nn.functional.interpolate(coarse, (16, 24), mode="bilinear")
    x = 0.5 + contrast * smooth + 0.03 * randn(count, 3, 16, 24, seed=seed + 1)
    return (x.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()


def save_clip(path: Path):
    """A CLIP's image tower beside SigLIP's text tower in one file, as Mitsua Japanese CLIP is. The text tower is the tiny model's."""
    torch.manual_seed(0)
    vision = randomize(CLIPVisionModelWithProjection(CLIPVisionConfig(
        hidden_size=16, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2, image_size=24, patch_size=8,
        projection_dim=32, hidden_act="gelu")), seed=20)
    text = SiglipTextModel.from_pretrained(tiny / "text_encoder", torch_dtype=torch.float32).eval()
    processor = ViTImageProcessor(size={"height": 24, "width": 24}, resample=3)
    processor.save_pretrained(path)
    halves = {name: weight.half() for name, weight in text.state_dict().items()}  # as the tiny model's are: nothing is lost
    save_file({**vision.state_dict(), **halves}, path / "model.safetensors")
    text_config = {name: value for name, value in text.config.to_diff_dict().items() if name != "_name_or_path"}
    save_json(path / "config.json", {
        "architectures": ["JoinedCLIPModel"], "projection_dim": 32,
        "text_config": text_config, "vision_config": vision.config.to_diff_dict(),
    })
    return vision, text, processor


def folders(out: Path) -> dict:
    """Two folders of pictures, one with captions, seen by a CLIP."""
    vision, text, processor = save_clip(out / "clip")
    tokenizer = SiglipTokenizer.from_pretrained(tiny / "tokenizer")
    captions = [["赤い船", "a red boat"], ["森の猫"], ["a cat in the forest", "夜", "night"], ["夕方の海"], ["snow"]]
    features, found = {}, {}
    for name, made in {"drawn": pictures(5, 21, 0.2), "others": pictures(7, 23, 0.3)}.items():
        (out / name).mkdir(parents=True)
        images = [Image.fromarray(picture) for picture in made]
        for i, image in enumerate(images):
            image.save(out / name / f"{i}.png")
        features[name] = vision(processor(images, return_tensors="pt")["pixel_values"]).image_embeds
        found[name] = statistics(made)
    save_lines(out / "drawn" / "captions.jsonl", [{"file": f"{i}.png", "captions": of} for i, of in enumerate(captions)])

    def score(image, of):
        ids = tokenizer(of, padding="max_length", max_length=64, truncation=True, return_tensors="pt")["input_ids"]
        return float(np.mean(clip_score(image[None].expand(len(of), -1), text(ids).pooler_output)[1]))

    found["clip_score"] = [score(image, of) for image, of in zip(features["drawn"], captions)]
    found["fid"] = frechet_distance_by_factors(features["drawn"].numpy(), features["others"].numpy())
    return found


def save_lines(path: Path, lines: list) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


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

    save_tensors(out / "features.safetensors", tensors)
    save_json(out / "expected.json", {
        "distances": distances,
        "singular_values": singular_values,
        "clip_score": {"mean": mean, "each": each},
        "folders": folders(out),
    })
