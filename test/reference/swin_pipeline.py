"""From a PNG to probabilities: transformers' image processor, then the classifier that swin.py saved as window7."""

from pathlib import Path

import torch
from common import save_json
from PIL import Image, ImageDraw
from swin import window7
from transformers import ViTImageProcessor


def picture(width: int, height: int, seed: int) -> Image.Image:
    """Shapes with hard edges on a coloured gradient with some noise."""
    rows, columns = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)[None]
    gradient = torch.stack([rows.expand(height, width), columns.expand(height, width), 1 - rows * columns], -1)
    noise = 0.1 * torch.randn(height, width, 3, generator=torch.Generator().manual_seed(seed))
    image = Image.fromarray((255 * (gradient + noise).clamp(0, 1)).round().to(torch.uint8).numpy())
    draw = ImageDraw.Draw(image)
    draw.ellipse((width // 5, height // 4, width // 2, height // 2), fill=(240, 60, 90))
    draw.line((0, height - 5, width, height // 3), fill=(10, 10, 40), width=3)
    return image


processors = {
    "bicubic": ViTImageProcessor(size={"height": 56, "width": 56}, resample=3,
                                 image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]),
    "bilinear": ViTImageProcessor(size={"height": 60, "width": 64}, resample=2),
}


def make(out: Path) -> None:
    out.mkdir(parents=True)
    pictures = {"large": picture(150, 110, seed=1), "small": picture(40, 48, seed=2)}
    for name, image in pictures.items():
        image.save(out / f"{name}.png")

    for kind, processor in processors.items():
        processor.save_pretrained(out / kind)
        model = window7()
        labels = model.config.id2label
        for name in pictures:
            pixels = processor(Image.open(out / f"{name}.png"), return_tensors="pt").pixel_values
            probabilities = model(pixels).logits.sigmoid()[0].tolist()
            save_json(out / kind / f"{name}.json", [[labels[i], p] for i, p in enumerate(probabilities)])
