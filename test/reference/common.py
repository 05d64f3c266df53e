"""What the reference scripts share: determinism, random weights that hide nothing, and files."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

torch.set_grad_enabled(False)
# One thread adds up in one order, so the numbers are the same on every run.
torch.set_num_threads(1)


def randomize(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Adds noise to every parameter, in place. Biases of 0 and gains of 1, as models are born, would hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        scale = 0.1 if parameter.ndim < 2 else 0.02
        parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def randn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def save_tensors(path: Path, tensors: dict, metadata: dict | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, path, metadata)


def save_json(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def record(model: torch.nn.Module, run, wanted=lambda path: True) -> dict:
    """Runs `run()` and returns what every module returned, by its path; of several tensors, the first."""
    outputs = {}

    def keep(path):
        def hook(_module, _inputs, output):
            while not torch.is_tensor(output):
                output = next(iter(output.values() if isinstance(output, dict) else output))
            outputs[path] = output.detach().clone()
        return hook

    hooks = [module.register_forward_hook(keep(path)) for path, module in model.named_modules() if path and wanted(path)]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return outputs
