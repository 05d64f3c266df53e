"""The parts of a step of training by torch and diffusers, and ten steps of a tiny UNet with all of them.

Inputs are numbers of a formula (formula.py), so that no file holds them.
"""

import itertools
from pathlib import Path

import torch
from diffusers import DDIMScheduler
from diffusers.training_utils import EMAModel, compute_snr

from common import save_json, save_tensors
from formula import fill, samples, uniform
from tiny_model import unet

schedule = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def numbers(name: str, *shape: int) -> torch.Tensor:
    return uniform(name, torch.Size(shape).numel()).float().reshape(shape)


def adam_w(parameters, **options) -> torch.optim.AdamW:
    """Only matrices and filters decay."""
    parameters = list(parameters)
    decayed, others = [[p for p in parameters if (p.ndim > 1) == wanted] for wanted in (True, False)]
    return torch.optim.AdamW([{"params": decayed}, {"params": others, "weight_decay": 0.0}], **options)


def optimizer() -> dict:
    """Toy weights after each of ten steps, with a rate that changes and gradients from tiny to large."""
    shapes = {"matrix": (3, 4), "filter": (2, 3, 3, 3), "bias": (5,), "gain": (2,)}
    weights = {name: torch.nn.Parameter(numbers(name, *shape)) for name, shape in shapes.items()}
    adam = adam_w(weights.values(), betas=(0.8, 0.95), weight_decay=0.1)
    average = EMAModel(weights.values(), decay=0.4)
    tensors = {}
    for step in range(10):
        for name, weight in weights.items():
            weight.grad = numbers(f"{name}.{step}", *weight.shape) * 10.0 ** (step - 6)
        for group in adam.param_groups:
            group["lr"] = 0.01 * (1 + step)
        adam.step()
        average.step(weights.values())
        tensors |= {f"{name}.{step}": weight.detach().clone() for name, weight in weights.items()}
        tensors |= {f"ema.{name}.{step}": mean.clone() for name, mean in zip(weights, average.shadow_params)}
    for name, weight in weights.items():
        tensors |= {f"exp_avg.{name}": adam.state[weight]["exp_avg"], f"exp_avg_sq.{name}": adam.state[weight]["exp_avg_sq"]}
    return tensors


def clipping() -> dict:
    tensors = {}
    for limit in (0.5, 100.0):
        parameters = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((3, 4), (7,))]
        for i, parameter in enumerate(parameters):
            parameter.grad = numbers(f"clip.{i}", *parameter.shape)
        tensors[f"{limit:g}.norm"] = torch.nn.utils.clip_grad_norm_(parameters, limit)
        tensors |= {f"{limit:g}.{i}": parameter.grad for i, parameter in enumerate(parameters)}
    return tensors


def objectives() -> dict:
    """Noisy latents, velocities and Min-SNR weights at timesteps from the first to the last."""
    original, noise = numbers("original", 6, 2, 3, 4), numbers("noise", 6, 2, 3, 4)
    times = torch.tensor([0, 1, 250, 700, 998, 999])
    tensors = {"times": times.float()}
    for name, rescaled in (("plain", False), ("zero_snr", True)):
        scheduler = DDIMScheduler(**schedule, rescale_betas_zero_snr=rescaled)
        snr = compute_snr(scheduler, times)
        clamped = torch.minimum(snr, torch.tensor(5.0))
        tensors |= {
            f"{name}.noisy": scheduler.add_noise(original, noise, times),
            f"{name}.velocity": scheduler.get_velocity(original, noise, times),
            f"{name}.weights_v": clamped / (snr + 1),
            f"{name}.weights_epsilon": clamped / snr,
        }
    return tensors


def assignments() -> list:
    """The least total of every assignment of rows to columns, by trying all."""
    least = []
    for n in range(1, 8):
        costs = uniform(f"costs.{n}", n * n).reshape(n, n)
        if n % 2 == 0:
            costs = (costs * 3).round()  # many that are equal
        totals = (sum(costs[i, j].item() for i, j in enumerate(columns)) for columns in itertools.permutations(range(n)))
        least.append(min(totals))
    return least


def ten_steps() -> tuple[dict, dict]:
    """v-prediction with zero terminal SNR, Min-SNR, warm-up, clipping, AdamW and an average."""
    model = fill(unet())
    scheduler = DDIMScheduler(**schedule, prediction_type="v_prediction", rescale_betas_zero_snr=True)
    adam = adam_w(model.parameters(), weight_decay=0.01)
    average = EMAModel(model.parameters(), decay=0.9)
    losses, norms = [], []
    for step in range(10):
        draw = lambda name, *shape: numbers(f"{name}.{step}", *shape)
        latents, noise = draw("latents", 2, 8, 8, 12), draw("noise", 2, 8, 8, 12) * 2
        times = torch.tensor([999 - 37 * step, 100 * step])
        conditions = {"text_embeds": draw("pooled", 2, 32), "time_ids": torch.tensor([[64.0, 96, step, 0, 64, 96], [128, 100, 0, 3, 64, 96]])}
        with torch.enable_grad():
            noisy, target = scheduler.add_noise(latents, noise, times), scheduler.get_velocity(latents, noise, times)
            prediction = model(noisy, times, draw("context", 2, 5, 32), added_cond_kwargs=conditions).sample
            snr = compute_snr(scheduler, times)
            weights = torch.minimum(snr, torch.tensor(5.0)) / (snr + 1)
            loss = ((prediction - target).square().mean((1, 2, 3)) * weights).mean()
            adam.zero_grad()
            loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5).item())
        for group in adam.param_groups:
            group["lr"] = 1e-3 * min(1, (step + 1) / 4)
        adam.step()
        average.step(model.parameters())
        losses.append(loss.item())
    tensors = {name: samples(parameter) for name, parameter in model.named_parameters()}
    tensors |= {f"ema.{name}": samples(mean) for (name, _), mean in zip(model.named_parameters(), average.shadow_params)}
    return tensors, {"losses": losses, "norms": norms}


def make(out: Path) -> None:
    save_tensors(out / "optimizer.safetensors", optimizer())
    save_tensors(out / "clipping.safetensors", clipping())
    save_tensors(out / "objectives.safetensors", objectives())
    save_json(out / "assignments.json", assignments())
    tensors, figures = ten_steps()
    save_tensors(out / "ten_steps.safetensors", tensors)
    save_json(out / "ten_steps.json", figures)
