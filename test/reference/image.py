"""Pillow's resizing and PNG texts, transformers' ViTImageProcessor, diffusers' VaeImageProcessor."""

import hashlib
import json
import struct
import zlib
from base64 import b64encode
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from common import randn, save_json, save_tensors
from diffusers.image_processor import VaeImageProcessor
from PIL import Image, PngImagePlugin
from PIL.PngImagePlugin import PngInfo
from transformers import ViTImageProcessor

filters = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]


def noise(width: int, height: int) -> np.ndarray:
    """The test makes the same bytes: a linear congruential generator's upper eight bits."""
    x, values = width * 65536 + height, bytearray()
    for _ in range(width * height * 3):
        x = (x * 1664525 + 1013904223) % 2**32
        values.append(x >> 24)
    return np.frombuffer(bytes(values), np.uint8).reshape(height, width, 3)


def extremes(width: int, height: int) -> np.ndarray:
    return np.where(noise(width, height) < 128, 0, 255).astype(np.uint8)


def resized() -> list:
    sources = [(1, 1), (7, 1), (1, 6), (3, 5), (23, 17), (64, 40), (31, 97)]
    targets = [(1, 1), (9, 1), (1, 8), (5, 7), (16, 16), (47, 33), (64, 40), (97, 31)]
    pairs = [(source, target) for source in sources for target in targets] + [((768, 512), (224, 224)), ((100, 60), (224, 224))]
    cases = []
    for source, target in pairs:
        for make in (noise, extremes):
            picture = Image.fromarray(make(*source))
            for number, name in enumerate(filters):
                pixels = picture.resize(target, resample=number).tobytes()
                cases.append([source, target, make.__name__, name, hashlib.sha256(pixels).hexdigest()[:16]])
    return cases


processors = {
    "vit": dict(size=24),
    "swin": dict(size={"height": 20, "width": 28}, resample=3, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]),
    "only-resize": dict(size=16, resample=1, do_rescale=False, do_normalize=False),
    "no-resize": dict(do_resize=False, rescale_factor=1 / 127.5, image_mean=1.0, image_std=1.0),
    "no-rescale": dict(size=12, do_rescale=False, image_mean=[120.0, 110.5, 101.3], image_std=[61.1, 57.7, 58.9]),
}
pictures = {"noise": noise(40, 33), "extremes": extremes(13, 50), "small": noise(4, 5)}


def processed(out: Path) -> None:
    tensors = {}
    for name, options in processors.items():
        processor = ViTImageProcessor(**options)
        processor.save_pretrained(out / "processors" / name)
        for picture, pixels in pictures.items():
            values = processor(Image.fromarray(pixels), return_tensors="pt").pixel_values[0]
            tensors[f"{name}/{picture}"] = values.float().permute(1, 2, 0)
    save_tensors(out / "processed.safetensors", tensors)


def postprocessed(out: Path) -> None:
    halves = (torch.arange(256, dtype=torch.float64) + 0.5) / 255 * 2 - 1
    halves = halves.float()
    values = torch.cat([
        halves, torch.nextafter(halves, torch.tensor(9.0)), torch.nextafter(halves, torch.tensor(-9.0)),
        torch.tensor([-1.0, 1.0, -1.5, 1.5, 0.0, -0.0, 1e-40, -1e-40]), 0.8 * randn(796, seed=1),
    ]).reshape(1, 3, 4, 131)
    processor = VaeImageProcessor()
    picture = processor.postprocess(values, output_type="pil")[0]
    save_tensors(out / "postprocessed.safetensors", {
        "decoded": values[0].permute(1, 2, 0),
        "image": processor.postprocess(values, output_type="pt")[0].permute(1, 2, 0),
        "pixels": torch.from_numpy(np.array(picture)),
    })


japanese = "夜空、クジラ、星, ﾊﾝｶｸ 🐋\n二行目"
latin = "Généré par Mitsua Likes ©, two\nlines: \"quoted\""


def written(out: Path) -> None:
    """PNG files of every kind, and what Pillow reads from them."""
    out.mkdir(parents=True)
    rgb = Image.fromarray(noise(6, 5))
    alpha = Image.fromarray(np.concatenate([noise(6, 5), noise(5, 6).reshape(5, 6, 3)[..., :1]], axis=-1))
    kinds = {
        "rgb": rgb, "rgba": alpha, "grey": rgb.convert("L"), "grey-alpha": alpha.convert("LA"),
        "palette": rgb.quantize(7), "bits": rgb.convert("1"),
    }
    for name, picture in kinds.items():
        picture.save(out / f"{name}.png")
    (out / "interlaced.png").write_bytes(interlaced(noise(6, 5)))

    texts = PngInfo()
    for name, value in (("japanese", japanese), ("latin", latin), ("empty", "")):
        texts.add_text(name, value)
        texts.add_text(f"{name}-compressed", value, zip=True)
        texts.add_itxt(f"{name}-international", value, "ja", "題")
        texts.add_itxt(f"{name}-both", value, zip=True)
    texts.add_text("twice", "first")
    texts.add_text("twice", "last")
    rgb.save(out / "texts.png", pnginfo=texts)
    # As the program DiffuseGacha saves pictures of Mitsua Likes.
    texts = PngInfo()
    latent = safetensors.torch.save({"latent": randn(1, 8, 3, 2, seed=2)})
    texts.add_text("latent_tensor", b"data:application/octet-stream;base64," + b64encode(latent), zip=True)
    texts.add_text("generation_config", json.dumps({
        "width": 640, "height": 576, "prompt": japanese, "negative_prompt": "elan doodle, lowres", "guidance_scale": 5.0,
        "guidance_rescale": 0.7, "num_inference_steps": 40,
    }))
    rgb.save(out / "mitsua-likes.png", pnginfo=texts)
    (out / "latent.safetensors").write_bytes(latent)

    expected = {}
    for path in sorted(out.glob("*.png")):
        with Image.open(path) as picture:
            picture.load()
            pixels = picture.convert("RGB").tobytes().hex()
            expected[path.name] = {"size": picture.size, "pixels": pixels, "texts": dict(picture.text)}
    save_json(out / "read.json", expected)


def interlaced(pixels: np.ndarray) -> bytes:
    """Pillow reads Adam7 but does not write it."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b"".join(
        b"\0" + row.tobytes() for x, y, dx, dy in passes for row in pixels[y::dy, x::dx] if row.size
    )
    height, width, _ = pixels.shape
    chunks = [(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 1)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return PngImagePlugin._MAGIC + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def make(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "resized.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in resized()) + "\n]\n")
    processed(out)
    postprocessed(out)
    written(out / "png")
