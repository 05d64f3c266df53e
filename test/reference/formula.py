"""Weights and samples by a formula, so that large ones need no file: test/helpers/formula.ts computes the same bits."""

import torch

mask = 2**32 - 1


def seed_of(name: str) -> int:
    """FNV-1a over the bytes of a name."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 & mask
    return seed


def uniform(name: str, count: int) -> torch.Tensor:
    """`count` doubles in -1…1, the same for the same name: murmur3's last mix of the index and the name's hash."""
    x = torch.arange(count, dtype=torch.int64) * 2654435761 + seed_of(name) & mask
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ x >> shift) * factor & mask
    x = x ^ x >> 16
    return x.double() / 2**31 - 1


def fill(model: torch.nn.Module) -> torch.nn.Module:
    """Gains around 1, biases around 0, and matrices and filters that keep the size of what passes, in place."""
    for name, parameter in model.named_parameters():
        values = uniform(name, parameter.numel())
        if parameter.ndim == 1:
            values = values * 0.2 + (1 if name.endswith("weight") else 0)
        else:
            values = values * (3 / parameter[0].numel()) ** 0.5
        parameter.copy_(values.float().reshape(parameter.shape))
    return model.eval()


def samples(tensor: torch.Tensor, count: int = 16) -> torch.Tensor:
    """Some values of a tensor, pictures with their channels last as tfjs has them. A small tensor is gone through again."""
    values = (tensor.permute(0, 2, 3, 1) if tensor.ndim == 4 else tensor).flatten()
    return values[torch.arange(count) * 7919 % values.numel()]
