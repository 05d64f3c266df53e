"""diffusers' AutoencoderKL: small ones with everything on the way, their tiled and sliced pictures, and the names and
shapes of the full-size ones."""

import re
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from common import randn, randomize, record, save_json, save_tensors


def config(channels: tuple, **options) -> dict:
    levels = len(channels)
    return {
        "block_out_channels": channels,
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        **options,
    }


small = {
    # Stable Diffusion's shape, on three levels.
    "four": config((8, 12, 16), layers_per_block=1, norm_num_groups=4, sample_size=32),
    # Mitsua Likes' way of scaling, no 1x1 convolutions, and odd sizes.
    "eight": config(
        (8, 12), layers_per_block=2, latent_channels=8, norm_num_groups=2, sample_size=16, scaling_factor=0.9,
        use_quant_conv=False, use_post_quant_conv=False,
        latents_mean=[0.1 * i - 0.3 for i in range(8)], latents_std=[0.8 + 0.1 * i for i in range(8)],
    ),
    # One level, no attention, and one of the two convolutions.
    "flat": config(
        (8,), layers_per_block=1, latent_channels=3, norm_num_groups=8, sample_size=8, shift_factor=0.1,
        mid_block_add_attention=False, use_post_quant_conv=False,
    ),
}  # fmt: skip

# Pictures [height, width]; those of "four" and "eight" are no multiples of a latent cell.
pictures = {"four": (18, 14), "eight": (9, 13), "flat": (5, 6)}

# Latents [height, width] larger than a tile in one direction or in both, and how much of a tile the next one shares.
tiled = {
    "four": [(13, 9, 0.25), (5, 15, 0.25), (14, 8, 0.25)],
    "eight": [(11, 13, 0.5), (10, 8, 0.0)],
    "flat": [(9, 17, 0.25)],
}

full_size = {
    "sd": config((128, 256, 512, 512), layers_per_block=2, sample_size=512),
    "sdxl": config((128, 256, 512, 512), layers_per_block=2, sample_size=1024, scaling_factor=0.13025),
    "mitsua_likes": config((128, 256, 512, 512), layers_per_block=2, latent_channels=8, sample_size=768),
}

steps = re.compile(r"(conv_in|conv_out|conv_norm_out|quant_conv|(resnets|attentions|downsamplers|upsamplers|blocks)\.\d+|mid_block)$")


def denormalize(z: torch.Tensor, config) -> torch.Tensor:
    """As StableDiffusionXLPipeline does it, for any number of channels."""
    if config.latents_mean is None:
        return z / config.scaling_factor
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (config.latents_mean, config.latents_std))
    return z * std / config.scaling_factor + mean


def normalize(z: torch.Tensor, config) -> torch.Tensor:
    """As StableDiffusionXLImg2ImgPipeline does it."""
    if config.latents_mean is None:
        return config.scaling_factor * z
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (config.latents_mean, config.latents_std))
    return (z - mean) * config.scaling_factor / std


def small_model(out: Path, name: str) -> None:
    torch.manual_seed(0)
    vae = randomize(AutoencoderKL(**small[name]), seed=1)
    if name == "flat":  # so that its logarithms of the variance reach the bounds
        vae.quant_conv.bias[3:] = torch.tensor([-100.0, 0.0, 100.0])
    if name == "eight":  # so that activations are small, and what a norm adds to the variance counts
        for path, parameter in vae.named_parameters():
            parameter.mul_(1 if "norm" in path else 0.03)
    vae.save_config(out / name)
    save_tensors(out / name / "weights.safetensors", vae.state_dict())

    height, width = pictures[name]
    x = randn(2, 3, height, width, seed=2)
    posterior = vae.encode(x).latent_dist
    z = posterior.mode()
    noise = randn(*z.shape, seed=3)
    save_tensors(out / name / "io.safetensors", {
        "x": x, "mean": z, "logvar": posterior.logvar, "noise": noise, "sample": posterior.mean + posterior.std * noise,
        "picture": vae.decode(z).sample, "denormalized": denormalize(z, vae.config), "normalized": normalize(z, vae.config),
    })  # fmt: skip
    # What every layer makes on the way from the first picture to its latents and back.
    steps_on_the_way = record(vae, lambda: vae(x[:1]), steps.search)
    save_tensors(out / name / "steps.safetensors", steps_on_the_way)

    vae.enable_tiling()
    for i, (height, width, overlap) in enumerate(tiled[name]):
        vae.tile_overlap_factor = overlap
        z = randn(1, vae.config.latent_channels, height, width, seed=4)
        save_tensors(out / name / f"tiled.{i}.safetensors", {"z": z, "picture": vae.decode(z).sample})


def make(out: Path) -> None:
    for name in small:
        small_model(out, name)

    for name, options in full_size.items():
        with torch.device("meta"):
            vae = AutoencoderKL(**options)
        shapes = {key: "x".join(map(str, value.shape)) for key, value in vae.state_dict().items()}
        save_json(out / "structure" / f"{name}.json", shapes)
        vae.save_config(out / "structure" / name)
