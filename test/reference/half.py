"""Models whose weights were rounded to float16, as they compute in float32: what the precision "float16" is held against.

Models and inputs are those of the other scripts, so there are only outputs here.
"""

from pathlib import Path

import torch
from common import save_tensors
from diffusers import AutoencoderKL, UNet2DConditionModel
from formula import fill
from safetensors.torch import load_file
from transformers import SiglipTextModel, SwinForImageClassification
from unet import configs, inputs

expected = Path(__file__).parent / "expected"


def rounded(model: torch.nn.Module) -> torch.nn.Module:
    return model.half().float().eval()


def autoencoder(name: str) -> AutoencoderKL:
    model = AutoencoderKL.from_config(AutoencoderKL.load_config(expected / "autoencoder" / name))
    model.load_state_dict(load_file(expected / "autoencoder" / name / "weights.safetensors"))
    return model


def make(out: Path) -> None:
    unet = rounded(fill(UNet2DConditionModel(**configs["mitsua"])))
    text = rounded(SiglipTextModel.from_pretrained(expected / "text" / "siglip"))
    vae = rounded(autoencoder("four"))
    swin = rounded(SwinForImageClassification.from_pretrained(expected / "swin" / "window7"))

    ids = load_file(expected / "text" / "siglip" / "expected.safetensors")["ids"].int()
    latents = load_file(expected / "autoencoder" / "four" / "io.safetensors")["mean"]
    pictures = load_file(expected / "swin" / "window7" / "size56.safetensors")["pictures"]
    save_tensors(out / "outputs.safetensors", {
        "unet": unet(**inputs(unet.config)).sample,
        "text": text(ids).last_hidden_state,
        "autoencoder": vae.decode(latents).sample,
        "swin": swin(pictures).logits,
    })
