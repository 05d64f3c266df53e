"""torch.randn of a CPU generator (its values, and hashes of millions), and CUDA's Philox computed from its published definition.

The name is not random.py, which would hide Python's own module from every other script here.
"""

import hashlib
import math
from pathlib import Path

import numpy as np
import torch
from common import save_json

seeds = [0, 1, 42, 123456789, 2**31, 2**32 - 1, 2**32 + 5, 2**53 + 1, 2**64 - 1, -1, -42, -(2**63)]
sizes = [1, 3, 15, 16, 17, 31, 32, 33, 1000, 8 * 96 * 96, 5, 4 * 128 * 128, 0, 2, 16]


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def cpu() -> dict:
    def continued(seed):
        """Calls of mixed sizes on one generator: the hash of each call's numbers."""
        generator = torch.Generator().manual_seed(seed)
        return [sha256(torch.randn(size, generator=generator).numpy()) for size in sizes]

    def every_size(seed):
        """All sizes from 0 to 200, each by a new generator."""
        calls = [torch.randn(size, generator=torch.Generator().manual_seed(seed)).numpy() for size in range(201)]
        return sha256(np.concatenate(calls))

    def one_at_a_time(seed, count):
        generator = torch.Generator().manual_seed(seed)
        return sha256(np.concatenate([torch.randn(15, generator=generator).numpy() for _ in range(count // 15)]))

    return {
        "capability": "x86-64 with AVX2 or AVX-512, whose numbers are the same",
        "values": {str(size): torch.randn(size, generator=torch.Generator().manual_seed(42)).tolist() for size in (1, 4, 15, 16, 17, 20)},
        "sizes": sizes,
        # Seeds are strings because JSON's numbers end at 2^53 for many readers.
        "continued": {str(seed): continued(seed) for seed in seeds},
        "everySize": {str(seed): every_size(seed) for seed in seeds[:3]},
        "million": {str(seed): sha256(torch.randn(2**20, generator=torch.Generator().manual_seed(seed)).numpy()) for seed in seeds[:2]},
        "oneAtATime": {"count": 150_000, "7": one_at_a_time(7, 150_000)},
        "uniform": torch.rand(20, generator=torch.Generator().manual_seed(42)).tolist(),
    }


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32-10 of Salmon et al. (2011), in Python's exact integers."""
    mask = 2**32 - 1
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & mask, (a >> 32) ^ c[3] ^ k[1], a & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c


# The known answers that the authors publish: tests/kat_vectors of Random123.
known = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def curand_normal4(seed: int, thread: int, call: int) -> list[float]:
    seed %= 2**64
    x = philox([call, 0, thread, 0], [seed % 2**32, seed >> 32])
    step = np.float32(2.0**-32)
    angle_step = np.float32(step * np.float32(6.2831855))
    normals = []
    for radius_bits, angle_bits in (x[:2], x[2:]):
        u = np.float32(np.float32(radius_bits) * step + step / np.float32(2))
        v = np.float32(np.float32(angle_bits) * angle_step + angle_step / np.float32(2))
        s = math.sqrt(-2 * math.log(float(u)))
        normals += [s * math.sin(float(v)), s * math.cos(float(v))]
    return normals


def cuda_randn(seed: int, counts: list[int], grid_threads: int) -> list[list[float]]:
    """distribution_elementwise_grid_stride_kernel of PyTorch 2.5 (ATen/native/cuda/DistributionTemplates.h), call after call."""
    call, results = 0, []
    for count in counts:
        threads = min(256 * math.ceil(count / 256), grid_threads)
        values = [0.0] * count
        loops = math.ceil(count / (4 * threads))
        for loop in range(loops):
            for thread in range(threads):
                for i, normal in enumerate(curand_normal4(seed, thread, call + loop)):
                    index = loop * 4 * threads + i * threads + thread
                    if index < count:
                        values[index] = normal
        call += loops
        results.append(values)
    return results


def cuda() -> dict:
    words = lambda text: [int(word, 16) for word in text.split()]
    for counter, key, answer in known:
        assert philox(words(counter), words(key)) == words(answer), counter
    integers = np.array([philox([i, i * i % 2**32, 0xFFFFFFFF - i, 7 * i], [3 * i, 0xF0000000 + i]) for i in range(2000)], dtype=np.uint32)

    def drawn(seed, counts, grid_threads):
        return {"seed": str(seed), "gridThreads": grid_threads, "counts": counts, "calls": cuda_randn(seed, counts, grid_threads)}

    return {
        "known": [{"counter": words(counter), "key": words(key), "answer": words(answer)} for counter, key, answer in known],
        "integers": sha256(integers),
        "randn": [
            drawn(0, [12], 256 * 768),
            drawn(42, [5, 300, 7], 256 * 768),
            drawn(-1, [600], 256 * 768),
            drawn(2**40 + 3, [1200, 5, 2600], 256),  # one block: several numbers a thread, then several calls a thread
        ],
    }


def make(out: Path) -> None:
    save_json(out / "cpu.json", cpu())
    save_json(out / "cuda.json", cuda())
