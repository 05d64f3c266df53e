"""Weight files as Python writes them, and what torch makes of every kind of number."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from common import randn, randomize, save_tensors


def make(out: Path) -> None:
    torch.manual_seed(0)  # models are born with random weights
    kinds(out)
    casts(out)
    shards(out)
    swin(out / "swin")
    old_attention(out / "old_attention")


def kinds(out: Path) -> None:
    """One tensor of each kind, with shapes of 0 and of no axes, as stored and as float32."""
    numbers = {
        "f64": torch.tensor([0.1, -1e300, 1e-320, 2.0**-149, 3.4028235677973366e38, float("inf"), float("nan")], dtype=torch.float64),
        "f32": randn(2, 3, seed=1),
        "f16": torch.tensor([0.1, -65504.0, 6e-8, 6.1e-5, float("-inf"), float("nan"), -0.0], dtype=torch.float16),
        "bf16": torch.tensor([0.1, -3.3e38, 1e-40, float("inf"), float("nan"), -0.0], dtype=torch.bfloat16),
        "i64": torch.tensor([0, -1, 2**31, -(2**53) - 1, 2**62 + 2**38, 2**62 + 2**38 + 1, -(2**63), 2**63 - 1]),
        "i32": torch.tensor([[0, -1], [2**31 - 1, 2**24 + 1]], dtype=torch.int32),
        "u8": torch.tensor([0, 1, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "scalar": torch.tensor(1.5),
        "none": torch.zeros(0, 4),
    }
    save_tensors(out / "kinds.safetensors", numbers, {"text": "日本語"})
    save_tensors(out / "kinds_float32.safetensors", {name: value.float() for name, value in numbers.items()})


def casts(out: Path) -> None:
    """float32 → the smaller floats: every place where rounding could go wrong, and random bits."""
    generator = torch.Generator().manual_seed(5)
    bits = torch.randint(-(2**31), 2**31, (4096,), generator=generator, dtype=torch.int64).to(torch.int32)
    halves = torch.arange(-(2**15), 2**15, 7, dtype=torch.int64).to(torch.int16).view(torch.float16).float()
    halves = halves[halves.isfinite()]
    between = (halves[1:] + halves[:-1]) / 2  # ties, and their neighbours on both sides
    ties = torch.cat([between, torch.nextafter(between, torch.tensor(0.0)), torch.nextafter(between, torch.tensor(1e9))])
    near = torch.tensor([65503.0, 65519.99, 65520.0, 65535.9, 65536.0, 2.0**-25, 2.0**-24, 2.0**-14, 3e38, 3.4e38, 3.4028235e38, 0.0])
    values = torch.cat([bits.view(torch.float32), ties[::3], near, -near])
    save_tensors(out / "casts.safetensors", {"f32": values, "f16": values.half(), "bf16": values.bfloat16()})


def shards(out: Path) -> None:
    """A model in two files, as `save_pretrained` splits one."""
    tensors = {"a.weight": randn(4, 3, seed=2), "b.weight": randn(5, seed=3), "c.weight": randn(2, 2, seed=4)}
    files = {"model-00001-of-00002.safetensors": ["a.weight"], "model-00002-of-00002.safetensors": ["b.weight", "c.weight"]}
    folder = out / "sharded"
    for file, names in files.items():
        save_tensors(folder / file, {name: tensors[name] for name in names}, {"format": "pt"})
    index = {"metadata": {"total_size": 84}, "weight_map": {name: file for file, names in files.items() for name in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    save_tensors(out / "sharded_whole.safetensors", tensors)


def swin(out: Path) -> None:
    """One Swin saved by timm and by transformers. Equal logits prove that both files are the same model."""
    import timm
    from transformers import SwinConfig, SwinForImageClassification
    from transformers.models.swin.convert_swin_timm_to_pytorch import rename_key

    size = dict(img_size=32, patch_size=2, window_size=4, embed_dim=8, depths=(2, 1, 1), num_heads=(1, 2, 2))
    ours = randomize(timm.models.swin_transformer.SwinTransformer(**size, num_classes=3), seed=6)
    config = SwinConfig(
        image_size=32, patch_size=2, window_size=4, embed_dim=8, depths=[2, 1, 1], num_heads=[1, 2, 2], num_labels=3,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, drop_path_rate=0.0,
    )
    theirs = SwinForImageClassification(config).eval()

    old_timm = {}  # as timm wrote it before 0.9: merging at the end of a stage, a plain head, and the buffers
    state = {}
    for name, value in ours.state_dict().items():
        old = name.replace("head.fc", "head")
        if ".downsample." in old:
            stage = int(old.split(".")[1])
            old = old.replace(f"layers.{stage}.", f"layers.{stage - 1}.")
        old_timm[old] = value
        if ".qkv." in old:
            rows = value.shape[0] // 3
            for index, part in enumerate(("query", "key", "value")):
                target = "swin.encoder." + old.replace("attn.qkv", f"attention.self.{part}")
                state[target] = value[index * rows : (index + 1) * rows]
        else:
            state[rename_key(old)] = value
    buffers = {name: value for name, value in theirs.state_dict().items() if name.endswith("relative_position_index")}
    theirs.load_state_dict({**state, **buffers}, strict=True)

    picture = randn(1, 3, 32, 32, seed=7)
    logits = theirs(picture).logits
    assert torch.allclose(ours(picture), logits, atol=1e-5)
    for name, value in buffers.items():
        old = name.removeprefix("swin.encoder.").replace("attention.self", "attn")
        old_timm[old] = value
    old_timm["layers.0.blocks.1.attn_mask"] = torch.full((16, 16, 16), -100.0)[:1]
    save_tensors(out / "timm.safetensors", ours.state_dict())
    save_tensors(out / "run.safetensors", {"picture": picture, "logits": logits})
    config.save_pretrained(out)
    save_tensors(out / "old_timm.safetensors", old_timm)
    save_tensors(out / "transformers.safetensors", theirs.state_dict(), {"format": "pt"})


def old_attention(out: Path) -> None:
    """An autoencoder's weights under today's names and under those of diffusers before 0.15, both read by diffusers."""
    from diffusers import AutoencoderKL

    config = dict(
        block_out_channels=(4, 8), norm_num_groups=2, latent_channels=2, layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )
    vae = randomize(AutoencoderKL(**config), seed=8)
    old_names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    old = {}
    for name, value in vae.state_dict().items():
        for new_part, old_part in old_names.items():
            name = name.replace(f".{new_part}.", f".{old_part}.")
        old[name] = value
    save_tensors(out / "today.safetensors", vae.state_dict())
    vae.save_config(out)
    save_file(old, out / "diffusion_pytorch_model.safetensors")
    again = AutoencoderKL.from_pretrained(out).state_dict()
    assert all(torch.equal(again[name], value) for name, value in vae.state_dict().items())
