"""A small model of every kind, recorded by the recorder that docs/observe.md shows, and the FLOPs that PyTorch counts."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, SiglipTextConfig, SiglipTextModel, SwinConfig, SwinForImageClassification

from common import randn, randomize, save_json
from recorder import record

torch.manual_seed(20261125)  # what the models below are born with is the same on every run

unet = UNet2DConditionModel(
    sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    transformer_layers_per_block=[1, 2], attention_head_dim=[1, 2], cross_attention_dim=12, use_linear_projection=True,
    addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=12 + 6 * 8,
)
vae = AutoencoderKL(
    block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    layers_per_block=1, latent_channels=4, norm_num_groups=4, sample_size=16,
)
siglip = SiglipTextModel(SiglipTextConfig(
    vocab_size=50, hidden_size=12, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=16,
    hidden_act="gelu", layer_norm_eps=1e-5, bos_token_id=-1, eos_token_id=1, pad_token_id=1,
))
clip = CLIPTextModelWithProjection(CLIPTextConfig(
    vocab_size=50, hidden_size=12, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=16,
    hidden_act="gelu", projection_dim=8, bos_token_id=48, eos_token_id=49, pad_token_id=0,
))
swin = SwinForImageClassification(SwinConfig(
    image_size=16, patch_size=2, embed_dim=8, depths=[2, 2], num_heads=[2, 4], window_size=4, num_labels=5,
))

ids = torch.tensor([[3, 14, 15, 9, 26, 5, 35, 8, 49, 7, 9, 32, 38, 46, 2, 1]])
mask = (torch.arange(16) < 9).long()[None]
latents = randn(1, 4, 4, 6, seed=1)
picture = randn(1, 3, 8, 12, seed=2)

models = {"unet": unet, "vae": vae, "text_encoder": siglip, "text_encoder_2": clip, "character_detector": swin}
inputs = {
    "unet": {
        "sample": latents, "timestep": torch.tensor([437.0]), "encoder_hidden_states": randn(1, 16, 12, seed=3),
        "added_cond_kwargs": {"text_embeds": randn(1, 12, seed=4), "time_ids": torch.tensor([[8.0, 12.0, 0.0, 0.0, 8.0, 12.0]])},
    },
    "text_encoder": {"input_ids": ids, "attention_mask": mask},
    "text_encoder_2": {"input_ids": ids},
    "character_detector": {"pixel_values": randn(1, 3, 16, 16, seed=5)},
}


def make(out: Path) -> None:
    out.mkdir(parents=True)
    system = {"_class_name": "RecordedPipeline"}
    for seed, (name, model) in enumerate(models.items()):
        randomize(model, seed)
        model.save_pretrained(out / "system" / name)
        library = "diffusers" if hasattr(model, "save_config") else "transformers"
        system[name] = [library, type(model).__name__]
    save_json(out / "system" / "model_index.json", system)

    for name, arguments in inputs.items():
        flat = {**arguments, **arguments.get("added_cond_kwargs", {})}
        flat.pop("added_cond_kwargs", None)
        record(out / f"{name}.safetensors", name, models[name], flat, lambda: models[name](**arguments))

    def there_and_back():
        vae.encode(picture)
        vae.decode(latents)

    record(out / "vae.safetensors", "vae", vae, {"sample": picture, "latents": latents}, there_and_back)

    # The processors that PyTorch can count: those with matrix products of their own.
    unet.set_attn_processor(AttnProcessor())
    vae.set_attn_processor(AttnProcessor())
    with FlopCounterMode(display=False) as unet_flops:
        unet(**inputs["unet"])
    with FlopCounterMode(display=False) as vae_flops:
        there_and_back()
    save_json(out / "flops.json", {"unet": unet_flops.get_total_flops(), "vae": vae_flops.get_total_flops()})
