"""A whole Mitsua-like system in miniature, with random weights, in exactly the form in which diffusers saves one.

It stands in weights/tiny: README's first command and the pipeline tests run it. Its pictures are noise.
"""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import SiglipTextConfig, SiglipTextModel, SiglipTokenizer, SwinConfig, SwinForImageClassification, ViTImageProcessor

from common import randomize, save_json
from likes_pipeline import LikesPipeline

labels = ["星ねこミント", "つきうさぎ ルナ", "Robo Pip", "Captain Umbrella"]


def unet() -> UNet2DConditionModel:
    """Mitsua Likes' shape as it is known: no attention on level 0, a middle of one resnet, text_time conditioning."""
    return UNet2DConditionModel(
        sample_size=16, in_channels=8, out_channels=8, block_out_channels=(16, 32, 48), norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"), mid_block_type="UNetMidBlock2D",
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), transformer_layers_per_block=[0, 1, 2],
        attention_head_dim=[1, 2, 3], cross_attention_dim=32, use_linear_projection=True,
        addition_embed_type="text_time", addition_time_embed_dim=16, projection_class_embeddings_input_dim=32 + 6 * 16,
    )


def vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(16, 16, 32, 32), down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1, latent_channels=8, norm_num_groups=8, sample_size=128, scaling_factor=0.9,
        latents_mean=[0.1 * i for i in range(-4, 4)], latents_std=[1 + 0.05 * i for i in range(8)],
    )


def detector() -> SwinForImageClassification:
    return SwinForImageClassification(SwinConfig(
        image_size=32, patch_size=2, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4, problem_type="multi_label_classification",
        id2label=dict(enumerate(labels)), label2id={label: i for i, label in enumerate(labels)},
    ))


def make(out: Path) -> None:
    torch.manual_seed(20261125)
    tokenizer_folder = Path(__file__).parent / "expected" / "tokenizers_sentencepiece" / "siglip"
    tokenizer = SiglipTokenizer.from_pretrained(tokenizer_folder)
    text = SiglipTextModel(SiglipTextConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2, max_position_embeddings=64,
        hidden_act="gelu", layer_norm_eps=1e-5, bos_token_id=-1, eos_token_id=1, pad_token_id=1, projection_size=32,
    ))
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=True,
        prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing",
    )
    models = {"vae": vae(), "text_encoder": text, "unet": unet(), "character_detector": detector()}
    for seed, model in enumerate(models.values()):
        randomize(model, seed)
        model.half()
    processor = ViTImageProcessor(size={"height": 32, "width": 32}, resample=3)
    LikesPipeline(**models, tokenizer=tokenizer, scheduler=scheduler, character_detector_processor=processor).save_pretrained(out)

    # The published pipeline is custom code, which diffusers notes as [module, class]. What the code holds besides is data here.
    index = json.loads((out / "model_index.json").read_text())
    index["_class_name"] = ["pipeline_likes_base_unet", "LikesBaseUNetPipeline"]
    save_json(out / "model_index.json", index)
    save_json(out / "generation_config.json", {"width": 128, "height": 128, "num_inference_steps": 8, "credit": "Noise of tfjs-diffusion's tiny random model"})
    for file in out.rglob("*"):
        if file.name in ("README.md", ".gitattributes"):
            file.unlink()
