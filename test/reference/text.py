"""The text encoders: SigLIP's with each mask, CLIP's with each way of pooling, and the structure of the full-size ones."""

from pathlib import Path
from unittest.mock import patch

import torch
from common import randomize, record, save_tensors
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, SiglipTextConfig, SiglipTextModel
from transformers.modeling_attn_mask_utils import _create_4d_causal_attention_mask

ids = torch.tensor([[9, 41, 7, 60, 23, 5, 1, 1], [52, 3, 18, 1, 1, 1, 1, 1]])
attention_mask = torch.tensor([[1, 1, 1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0, 0, 0]])


def outputs(result, prefix: str) -> dict:
    pooled = result.text_embeds if "text_embeds" in result else result.pooler_output
    return {
        f"{prefix}.last_hidden_state": result.last_hidden_state,
        f"{prefix}.penultimate_hidden_state": result.hidden_states[-2],
        f"{prefix}.pooled": pooled,
    }


def siglip(out: Path, name: str, **config) -> None:
    torch.manual_seed(0)
    model = randomize(SiglipTextModel(SiglipTextConfig(
        vocab_size=64, hidden_size=16, intermediate_size=40, num_hidden_layers=3, num_attention_heads=2,
        max_position_embeddings=10, pad_token_id=1, bos_token_id=-1, eos_token_id=1, **config)), seed=1)
    model.save_pretrained(out / name)

    tensors = {"ids": ids.float(), "attention_mask": attention_mask.float()}
    def run(mask=None):
        return model(ids, attention_mask=mask, output_hidden_states=True)

    tensors |= {f"observed.{path}": value for path, value in record(model, run).items()}
    tensors |= outputs(run(), "none")
    tensors |= outputs(run(attention_mask), "padding")
    # The reference has no causal mode; its encoder adds whatever 4-D mask it is given.
    causal = _create_4d_causal_attention_mask(ids.shape, torch.float32, "cpu")
    with patch("transformers.models.siglip.modeling_siglip._prepare_4d_attention_mask", lambda *_: causal):
        tensors |= outputs(run(attention_mask), "causal")
    save_tensors(out / name / "expected.safetensors", tensors)


def clip(out: Path, name: str, kind, ids: torch.Tensor, **config) -> None:
    torch.manual_seed(0)
    model = randomize(kind(CLIPTextConfig(
        vocab_size=64, hidden_size=16, intermediate_size=40, num_attention_heads=2, max_position_embeddings=10,
        **config)), seed=2)
    model.save_pretrained(out / name)

    tensors = {"ids": ids.float()}
    def run():
        return model(ids, output_hidden_states=True)

    tensors |= {f"observed.{path}": value for path, value in record(model, run).items()}
    tensors |= outputs(run(), "causal")
    save_tensors(out / name / "expected.safetensors", tensors)


def structure(out: Path, name: str, kind, config) -> None:
    """config.json, and a line for each tensor: its name and shape."""
    with torch.device("meta"):
        model = kind(config)
    config.architectures = [kind.__name__]  # as saving the model would
    folder = out / "structure" / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config.to_json_string())
    lines = [" ".join([key, *map(str, tensor.shape)]) for key, tensor in model.named_parameters()]
    (folder / "tensors.txt").write_text("\n".join(sorted(lines)) + "\n")


def make(out: Path) -> None:
    siglip(out, "siglip", hidden_act="gelu", layer_norm_eps=1e-5)
    siglip(out, "siglip_defaults")

    # As every CLIP before transformers 4.31 has it: the end is where the highest id stands.
    clip(out, "clip", CLIPTextModel, torch.tensor([[62, 9, 41, 7, 63, 63, 63, 63], [62, 52, 3, 18, 5, 63, 1, 1]]),
         num_hidden_layers=3, pad_token_id=1, bos_token_id=0, eos_token_id=2)
    # The end is where `eos_token_id` first stands, which is not the highest id here.
    clip(out, "clip_projection", CLIPTextModelWithProjection,
         torch.tensor([[62, 9, 41, 7, 60, 60, 60, 60], [62, 52, 3, 18, 5, 63, 60, 0]]),
         num_hidden_layers=2, hidden_act="gelu", projection_dim=12, pad_token_id=0, bos_token_id=62, eos_token_id=60)
    clip(out, "clip_one_layer", CLIPTextModel, torch.tensor([[62, 9, 41, 63]]),
         num_hidden_layers=1, pad_token_id=1, bos_token_id=0, eos_token_id=2)

    structure(out, "mitsua_japanese_clip", SiglipTextModel,
              SiglipTextConfig(vocab_size=64000, bos_token_id=-1, eos_token_id=1, hidden_act="gelu", layer_norm_eps=1e-5))
    clip_l = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
                  projection_dim=768, bos_token_id=0, eos_token_id=2)
    structure(out, "clip_vit_l", CLIPTextModel, CLIPTextConfig(**clip_l))
    structure(out, "open_clip_vit_h", CLIPTextModel, CLIPTextConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16, projection_dim=512,
        hidden_act="gelu", bos_token_id=0, eos_token_id=2))
    structure(out, "open_clip_vit_big_g", CLIPTextModelWithProjection, CLIPTextConfig(
        hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20, projection_dim=1280,
        hidden_act="gelu", bos_token_id=0, eos_token_id=2))
