"""CLIP's image tower, with and without a projection."""

from pathlib import Path

from common import randn, randomize, record, save_tensors
import torch
from transformers import CLIPVisionConfig, CLIPVisionModel, CLIPVisionModelWithProjection


def tower(out: Path, name: str, kind, **config) -> None:
    torch.manual_seed(0)
    model = randomize(kind(CLIPVisionConfig(
        hidden_size=16, intermediate_size=40, num_hidden_layers=3, num_attention_heads=2, image_size=24, patch_size=8,
        **config)), seed=3)
    model.save_pretrained(out / name)

    pictures = randn(2, 3, 24, 24, seed=4)
    outputs = {}

    def run():
        outputs.update(model(pictures))

    tensors = {"pictures": pictures}
    tensors |= {f"observed.{path}": value for path, value in record(model, run).items()}
    tensors["last_hidden_state"] = outputs["last_hidden_state"]
    tensors["pooled"] = outputs["image_embeds" if "image_embeds" in outputs else "pooler_output"]
    save_tensors(out / name / "expected.safetensors", tensors)


def make(out: Path) -> None:
    tower(out, "clip", CLIPVisionModel)
    tower(out, "clip_projection", CLIPVisionModelWithProjection, projection_dim=12, hidden_act="gelu", layer_norm_eps=1e-6)
