"""The names and shapes of all weights of full-size UNets. The models are made without memory, on the meta device."""

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel

from common import save_json
from unet import structure

down3, up3 = ("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2, ("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",)

configs = {
    "stable-diffusion-1.5": dict(sample_size=64, cross_attention_dim=768, attention_head_dim=8),
    "stable-diffusion-2.1": dict(
        sample_size=96, cross_attention_dim=1024, attention_head_dim=[5, 10, 20, 20], use_linear_projection=True, upcast_attention=True,
    ),
    "sdxl": dict(
        sample_size=128, block_out_channels=(320, 640, 1280), down_block_types=down3, up_block_types=up3, cross_attention_dim=2048,
        attention_head_dim=[5, 10, 20], transformer_layers_per_block=[1, 2, 10], use_linear_projection=True,
        addition_embed_type="text_time", addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
    ),
    # As it is inferred: see src/models/unet-presets.ts.
    "mitsua-likes": dict(
        sample_size=96, in_channels=8, out_channels=8, block_out_channels=(384, 768, 1536), down_block_types=down3, up_block_types=up3,
        mid_block_type="UNetMidBlock2D", cross_attention_dim=768, attention_head_dim=[6, 12, 24], transformer_layers_per_block=[0, 2, 3],
        use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=256, projection_class_embeddings_input_dim=2304,
    ),
}


def make(out: Path) -> None:
    counts = {}
    for name, options in configs.items():
        with torch.device("meta"):
            model = UNet2DConditionModel(**options)
        model.save_config(out / name)
        (out / name / "structure.txt").write_text(structure(model))
        counts[name] = sum(parameter.numel() for parameter in model.parameters())
    save_json(out / "counts.json", counts)
