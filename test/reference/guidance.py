"""Classifier-free guidance and diffusers' rescale_noise_cfg."""

from pathlib import Path

from common import randn, save_json, save_tensors
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

# name: (shape, mean, standard deviation, scale, phi)
cases = {
    "likes": ((2, 8, 6, 4), 0.0, 1.0, 5.0, 0.7),
    "whole": ((3, 4, 5, 5), 0.3, 0.5, 7.5, 1.0),
    "off": ((1, 4, 4, 4), 0.0, 1.0, 5.0, 0.0),
    "far_from_zero": ((2, 4, 8, 8), 100.0, 0.1, 5.0, 0.7),
    "large": ((1, 4, 32, 32), 0.1, 1.0, 5.0, 0.7),
}


def make(out: Path) -> None:
    tensors = {}
    for index, (name, (shape, mean, std, scale, phi)) in enumerate(cases.items()):
        unconditional = mean + std * randn(*shape, seed=2 * index)
        conditional = unconditional + 0.3 * std * randn(*shape, seed=2 * index + 1)
        guided = unconditional + scale * (conditional - unconditional)
        tensors |= {
            f"{name}.unconditional": unconditional,
            f"{name}.conditional": conditional,
            f"{name}.guided": guided,
            f"{name}.rescaled": rescale_noise_cfg(guided, conditional, guidance_rescale=phi),
        }
    save_tensors(out / "guidance.safetensors", tensors)
    save_json(out / "cases.json", [{"name": name, "scale": case[3], "phi": case[4]} for name, case in cases.items()])
