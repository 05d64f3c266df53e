"""Swin: tiny classifiers with every rule of windows, shifts and padding, and the structure of Swin-B."""

import json
from pathlib import Path

import torch
from common import randn, randomize, record, save_tensors
from transformers import SwinConfig, SwinForImageClassification
from transformers.modeling_utils import no_init_weights


def classifier(**config) -> SwinForImageClassification:
    torch.manual_seed(0)
    # Weights larger than at birth, so that attention is not nearly even and its biases and masks weigh in.
    model = randomize(SwinForImageClassification(SwinConfig(initializer_range=0.3, **config)), seed=3)
    for name, parameter in model.named_parameters():
        if name.endswith("relative_position_bias_table"):
            parameter.copy_(randn(*parameter.shape, seed=parameter.numel()))
    return model


def pictures(batch: int, channels: int, height: int, width: int) -> torch.Tensor:
    return randn(batch, channels, height, width, seed=height * width)


def is_layer(path: str) -> bool:
    """Modules with weights, blocks and stages: not dropout and other shells, which hold the same numbers again."""
    return path.split(".")[-1] not in (
        "drop_path", "dropout", "embeddings", "encoder", "intermediate", "intermediate_act_fn", "output", "pooler", "self", "swin")


def is_block(path: str) -> bool:
    return path.split(".")[-2:-1] in (["blocks"], ["layers"])


def save(out: Path, name: str, model: SwinForImageClassification, **cases: tuple) -> None:
    """The model, and for each picture the logits; of the first, what every module returned."""
    model.save_pretrained(out / name)
    for index, (case, shape) in enumerate(cases.items()):
        # A fresh one each time: transformers' Swin keeps the smaller window of the last small picture.
        model = SwinForImageClassification.from_pretrained(out / name).eval()
        x = pictures(*shape)
        result = {}
        def run():
            result["logits"] = model(x).logits
        observed = record(model, run, is_layer if index == 0 else is_block)
        logits = result["logits"]
        save_tensors(out / name / f"{case}.safetensors", {
            "pictures": x, "logits": logits, "sigmoid": logits.sigmoid(), "softmax": logits.softmax(-1),
            **{f"observed.{path}": value for path, value in observed.items()},
        })


def structure(out: Path, name: str, config: SwinConfig) -> None:
    with no_init_weights():
        model = SwinForImageClassification(config)
    folder = out / "structure" / name
    folder.mkdir(parents=True)
    fields = json.loads(config.to_json_string())
    # A thousand made-up labels, twice, say no more than their number.
    fields = {key: value for key, value in fields.items() if key not in ("id2label", "label2id")}
    (folder / "config.json").write_text(json.dumps({**fields, "num_labels": config.num_labels}, indent=1) + "\n")
    lines = [" ".join([key, *map(str, tensor.shape)]) for key, tensor in model.named_parameters()]
    (folder / "tensors.txt").write_text("\n".join(sorted(lines)) + "\n")


def window7() -> SwinForImageClassification:
    labels = ["うさぎ", "cat", "dog", "ねこ", "__proto__"]
    return classifier(image_size=56, patch_size=4, embed_dim=4, depths=[2, 2], num_heads=[2, 4], window_size=7, mlp_ratio=2.0,
                      id2label=dict(enumerate(labels)), problem_type="multi_label_classification")


def make(out: Path) -> None:
    # 14 × 14 patches, shifted, then 7 × 7: one window, so no shift. Then sizes that need padding, and do not even halve.
    save(out, "window7", window7(),
        size56=(1, 3, 56, 56), size60=(2, 3, 60, 60), size64x52=(1, 3, 64, 52), size85x57=(1, 3, 85, 57))
    save(out, "window4", classifier(
        image_size=23, patch_size=2, num_channels=1, embed_dim=6, depths=[2, 3], num_heads=[3, 2], window_size=4,
        mlp_ratio=2.5, qkv_bias=False, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-3, num_labels=3),
        size23x19=(1, 1, 23, 19), size32=(2, 1, 32, 32), size16=(1, 1, 16, 16))
    save(out, "window3", classifier(
        image_size=24, patch_size=2, num_channels=2, embed_dim=4, depths=[1, 2, 1], num_heads=[1, 2, 4], window_size=3,
        num_labels=4, problem_type="single_label_classification"),
        size22x18=(1, 2, 22, 18))
    structure(out, "swin_base", SwinConfig(embed_dim=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, 32], num_labels=1000))
