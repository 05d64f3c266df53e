"""diffusers' DDIMScheduler: timesteps, the cumulative alphas and chained steps over many settings, and image-to-image's first step.

torch's float32 square root on x86-64 is Intel MKL's, which misses the nearest number for about one in five, by one, and not for
the same on every processor. Rescaling to zero terminal SNR subtracts such roots, so its alphas may differ by some 1e-6 of
themselves from machine to machine. All settings are run twice: as torch is, and with roots that are rounded correctly.
"""

import contextlib
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from common import randn, save_json, save_tensors
from diffusers import DDIMScheduler, StableDiffusionXLImg2ImgPipeline

latent = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False)
zero_snr = dict(**latent, prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing")
stable = dict(**latent, steps_offset=1, set_alpha_to_one=False)

# name: (settings, steps, arguments of step)
settings = {
    "class_defaults": ({}, 10, {}),
    "zero_snr_40": (zero_snr, 40, {}),
    "zero_snr_8": (zero_snr, 8, {}),
    "zero_snr_eta": (zero_snr, 8, dict(eta=0.5)),
    "zero_snr_eta_1": (zero_snr, 8, dict(eta=1.0)),
    "zero_snr_1": (zero_snr, 1, {}),
    "zero_snr_61": (zero_snr, 61, {}),
    "zero_snr_cosine": ({**zero_snr, "beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "linspace"}, 7, {}),
    "zero_snr_sample": ({**zero_snr, "prediction_type": "sample"}, 6, dict(eta=0.3)),
    "zero_snr_epsilon_leading": ({**zero_snr, "prediction_type": "epsilon", "timestep_spacing": "leading"}, 6, {}),
    "stable_20": (stable, 20, {}),
    "stable_eta": (stable, 10, dict(eta=1.0)),
    "stable_linspace": (dict(**stable, timestep_spacing="linspace"), 16, {}),
    "stable_trailing_30": (dict(**stable, timestep_spacing="trailing"), 30, {}),
    "stable_v": (dict(**stable, prediction_type="v_prediction"), 25, {}),
    "clipped_range": (dict(clip_sample_range=0.7, prediction_type="sample", beta_schedule="squaredcos_cap_v2"), 9, {}),
    "clipped_output": (dict(prediction_type="v_prediction"), 9, dict(use_clipped_model_output=True, eta=0.2)),
    "thresholding": (dict(thresholding=True, dynamic_thresholding_ratio=0.9, sample_max_value=1.5), 9, {}),
    "thresholding_default": (dict(thresholding=True, prediction_type="sample"), 5, {}),
    "trained_betas": (dict(trained_betas=np.linspace(0.01, 0.3, 50).tolist(), num_train_timesteps=50), 7, {}),
    "short_linear": (dict(num_train_timesteps=77, beta_end=0.15, timestep_spacing="trailing", clip_sample=False), 12, dict(eta=0.7)),
}
shape = (2, 3, 2, 4)


@contextlib.contextmanager
def correctly_rounded_roots():
    sqrt, power = torch.Tensor.sqrt, torch.Tensor.__pow__
    torch.Tensor.sqrt = lambda x: torch.from_numpy(np.asarray(np.sqrt(x.numpy())))
    torch.Tensor.__pow__ = lambda x, exponent: x.sqrt() if exponent == 0.5 else power(x, exponent)
    try:
        yield
    finally:
        torch.Tensor.sqrt, torch.Tensor.__pow__ = sqrt, power


def walk(index: int, name: str) -> tuple:
    config, steps, arguments = settings[name]
    scheduler = DDIMScheduler(**config)
    scheduler.set_timesteps(steps)
    timesteps = scheduler.timesteps[:steps]  # of 61 trailing ones, a 62nd is -1
    outputs = randn(steps, *shape, seed=100 + index)
    noises = randn(steps, *shape, seed=200 + index)
    sample = randn(*shape, seed=300 + index) * scheduler.init_noise_sigma
    original, noise = randn(*shape, seed=400 + index), randn(*shape, seed=500 + index)
    samples = [sample]
    for i, t in enumerate(timesteps):
        extra = dict(arguments, variance_noise=noises[i]) if arguments.get("eta") else arguments
        sample = scheduler.step(outputs[i], t, scheduler.scale_model_input(sample, t), **extra).prev_sample
        assert torch.isfinite(sample).all()
        samples.append(sample)
    given = {"outputs": outputs, "original": original, "noise": noise} | ({"noises": noises} if arguments.get("eta") else {})
    noised = [scheduler.add_noise(original, noise, t[None]) for t in (timesteps[0], timesteps[-1])]
    made = {"alphas_cumprod": scheduler.alphas_cumprod, "samples": torch.stack(samples), "noised": torch.stack(noised)}
    return scheduler, timesteps, given, made


def run(index: int, name: str, tensors: dict) -> dict:
    _, steps, arguments = settings[name]
    scheduler, timesteps, given, made = walk(index, name)
    tensors |= {f"{name}.{part}": tensor for part, tensor in (given | made).items()}
    with correctly_rounded_roots():
        made = walk(index, name)[3]
    tensors |= {f"{name}.rounded.{part}": tensor for part, tensor in made.items()}
    return {
        "name": name, "config": json.loads(scheduler.to_json_string()), "steps": steps, "arguments": arguments,
        "timesteps": timesteps.tolist(), "initNoiseSigma": scheduler.init_noise_sigma,
    }


def every_number_of_steps(spacing: str, train_timesteps: int) -> dict:
    """The hash of the timesteps of 1, 2, 3, … steps, all after one another, and where diffusers gives more than were asked for."""
    scheduler = DDIMScheduler(num_train_timesteps=train_timesteps, timestep_spacing=spacing)
    sha256, longer = hashlib.sha256(), []
    for steps in range(1, train_timesteps + 1):
        scheduler.set_timesteps(steps)
        if len(scheduler.timesteps) != steps:
            longer.append(steps)
            assert scheduler.timesteps[steps:].tolist() == [-1]
        sha256.update(scheduler.timesteps[:steps].numpy().astype(np.int32).tobytes())
    return {"spacing": spacing, "trainTimesteps": train_timesteps, "sha256": sha256.hexdigest(), "longer": longer}


def every_length(beta_schedule: str, beta_start: float, beta_end: float) -> dict:
    """The hash of the cumulative alphas of 2, 3, 4, … training steps, all after one another."""
    config = dict(beta_schedule=beta_schedule, beta_start=beta_start, beta_end=beta_end)
    sha256 = hashlib.sha256()
    for count in range(2, 301):
        sha256.update(DDIMScheduler(num_train_timesteps=count, **config).alphas_cumprod.numpy().tobytes())
    return {"config": config, "sha256": sha256.hexdigest()}


def start_steps() -> list:
    """`get_timesteps` of image-to-image: [steps, strength, first step]."""
    class Pipeline:
        scheduler = DDIMScheduler()

    table = []
    for steps in (1, 7, 10, 29, 40, 50, 100):
        for strength in (0.1, 0.29, 0.3, 0.57, 0.58, 0.7, 0.75, 0.9, 0.99, 1.0):
            Pipeline.scheduler.set_timesteps(steps)
            left = StableDiffusionXLImg2ImgPipeline.get_timesteps(Pipeline, steps, strength, "cpu")[1]
            if left > 0:
                table.append([steps, strength, steps - left])
    return table


def make(out: Path) -> None:
    tensors = {}
    runs = [run(index, name, tensors) for index, name in enumerate(settings)]
    save_tensors(out / "steps.safetensors", tensors)
    save_json(out / "runs.json", runs)
    save_json(out / "timesteps.json", [every_number_of_steps(spacing, count) for count in (1000, 77) for spacing in ("leading", "trailing", "linspace")])
    save_json(out / "schedules.json", [every_length("linear", 0.0001, 0.02), every_length("scaled_linear", 0.00085, 0.012), every_length("squaredcos_cap_v2", 0.0001, 0.02)])
    save_json(out / "start-steps.json", start_steps())
