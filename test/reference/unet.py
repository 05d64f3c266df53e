"""diffusers' UNet2DConditionModel over the options that published configurations use, each in miniature with random weights.

The weights come from a formula. A case is a folder: config.json as diffusers saves it, the names and shapes of the weights, and for
each run its inputs and its output; for the plain run some values of what every module returned too, in the order in which they ended.
"""

import json
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel

from common import randn, record, save_tensors
from formula import fill, samples

mitsua = dict(
    in_channels=8, out_channels=8, block_out_channels=(16, 32, 48), norm_num_groups=8, cross_attention_dim=24,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"), mid_block_type="UNetMidBlock2D",
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), transformer_layers_per_block=[0, 2, 3],
    attention_head_dim=[1, 2, 3], use_linear_projection=True,
    addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=24 + 6 * 8,
)
small = dict(
    block_out_channels=(16, 32), norm_num_groups=8, cross_attention_dim=24, layers_per_block=1, attention_head_dim=4,
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
)
both = dict(down_block_types=("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2)

configs = {
    "mitsua": mitsua,
    "stable_diffusion_1": dict(
        block_out_channels=(16, 24, 32, 32), norm_num_groups=8, cross_attention_dim=24, attention_head_dim=4,
    ),
    "stable_diffusion_2": {**small, "attention_head_dim": [2, 4], "use_linear_projection": True},
    "no_middle": {**mitsua, "mid_block_type": None, "transformer_layers_per_block": [0, 1, 1]},
    "asymmetric": {
        **small, **both, "layers_per_block": [2, 1], "transformer_layers_per_block": [[1, 2], [2]],
        "reverse_transformer_layers_per_block": [[1, 0], [2, 1, 0]],
    },
    "reversed": {
        **mitsua, "transformer_layers_per_block": [0, 1, 2], "reverse_transformer_layers_per_block": [1, 2, 0],
    },
    "depth_0": {**small, **both, "transformer_layers_per_block": [0, 1], "cross_attention_dim": [24, 24]},
    "scale_shift": {
        **small, "resnet_time_scale_shift": "scale_shift", "flip_sin_to_cos": False, "freq_shift": 1, "time_embedding_dim": 40,
        "conv_in_kernel": 5, "conv_out_kernel": 1, "act_fn": "swish", "norm_eps": 0.01, "center_input_sample": True,
    },
    "time_condition": {**small, "time_cond_proj_dim": 12, "encoder_hid_dim": 20, "encoder_hid_dim_type": "text_proj"},
    "upscaler": {**small, **both, "in_channels": 7, "only_cross_attention": [True, False], "num_class_embeds": 10, "downsample_padding": 0},
    "class_timestep": {**small, "class_embed_type": "timestep"},
    "class_projection": {
        **small, "class_embed_type": "projection", "projection_class_embeddings_input_dim": 20, "class_embeddings_concat": True,
    },
    "class_simple": {**small, "class_embed_type": "simple_projection", "projection_class_embeddings_input_dim": 20},
    "class_identity": {**small, "class_embed_type": "identity"},
}

# Beside a picture of 8 × 8: sizes that the levels can't halve, a mask of the text, a time for each picture.
runs = {
    "mitsua": {"odd": dict(height=7, width=11), "times": dict(timestep=[999.5, 3.25]), "masked": dict(masked=True)},
    "stable_diffusion_1": {"odd": dict(height=9, width=13)},
    "upscaler": {"odd": dict(height=5, width=8)},
}


def inputs(config, *, height=8, width=8, timestep=480, masked=False):
    """The keyword arguments of the call for a batch of two pictures."""
    latents = randn(2, config.in_channels, height, width, seed=1)
    text = randn(2, 6, config.encoder_hid_dim or 24, seed=2)
    arguments = dict(sample=latents, timestep=torch.tensor(timestep), encoder_hidden_states=text)
    if masked:
        arguments["encoder_attention_mask"] = torch.tensor([[1, 1, 1, 1, 0, 0], [1, 0, 1, 1, 1, 1]])
    if config.addition_embed_type:
        time_ids = torch.tensor([[768, 512, 0, 16, 768, 512], [576, 1024, 8, 0, 576, 1024]], dtype=torch.float32)
        arguments["added_cond_kwargs"] = dict(text_embeds=randn(2, 24, seed=3), time_ids=time_ids)
    if config.time_cond_proj_dim:
        arguments["timestep_cond"] = randn(2, config.time_cond_proj_dim, seed=4)
    if config.num_class_embeds:
        arguments["class_labels"] = torch.tensor([7, 0])
    elif config.class_embed_type == "timestep":
        arguments["class_labels"] = torch.tensor([20.0, 350.5])
    elif config.class_embed_type:
        width = config.projection_class_embeddings_input_dim or 4 * config.block_out_channels[0]
        arguments["class_labels"] = randn(2, width, seed=5)
    return arguments


def flat(arguments):
    tensors = {**arguments, **arguments.get("added_cond_kwargs", {})}
    return {name: tensor for name, tensor in tensors.items() if torch.is_tensor(tensor)}


def structure(model) -> str:
    return "".join(f"{name} {list(tensor.shape)}\n" for name, tensor in model.state_dict().items())


def make(out: Path) -> None:
    for name, options in configs.items():
        model = fill(UNet2DConditionModel(**options))
        model.save_config(out / name)
        (out / name / "structure.txt").write_text(structure(model))
        for run, settings in {"plain": {}, **runs.get(name, {})}.items():
            arguments = inputs(model.config, **settings)
            layers = {path for path, module in model.named_modules() if next(module.parameters(), None) is not None or "time_proj" in path}
            activations = record(model, lambda: model(**arguments), lambda path: path in layers and run == "plain")
            tensors = {**flat(arguments), "output": model(**arguments).sample}
            if activations:
                tensors["activations"] = torch.stack([samples(value) for value in activations.values()])
            save_tensors(out / name / f"{run}.safetensors", tensors, {"paths": json.dumps(list(activations))})
