"""diffusers' convolutional layers and attention: one file a case, with the weights, the inputs and the output."""

from pathlib import Path

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D

from common import randn, randomize, save_json, save_tensors


def resnet(in_channels, out_channels, temb=None, **options):
    torch.manual_seed(0)
    layer = ResnetBlock2D(
        in_channels=in_channels, out_channels=out_channels, temb_channels=temb, groups=4, eps=1e-5, **options
    )
    x = randn(2, in_channels, 5, 6, seed=1)
    return layer, {"x": x, "temb": None if temb is None else randn(2, temb, seed=2)}


def attention(x, context=None, mask=None, **options):
    torch.manual_seed(0)
    return Attention(x.shape[1 if x.ndim == 4 else 2], **options), {"x": x, "context": context, "mask": mask}


def sampling(layer_class, shape, size=None, **options):
    torch.manual_seed(0)
    return layer_class(shape[1], use_conv=True, **options), {"x": randn(*shape, seed=1), "size": size}


def cases():
    yield "resnet/temb", resnet(8, 8, temb=12)
    yield "resnet/shortcut", resnet(8, 12, temb=12)
    yield "resnet/no_temb", resnet(12, 8)
    yield "resnet/scale_shift", resnet(8, 8, temb=12, time_embedding_norm="scale_shift")
    yield "resnet/small", resnet(8, 12)
    yield "resnet/output_scale", resnet(8, 8, output_scale_factor=1.5)

    for height, width in [(6, 8), (5, 7)]:
        yield f"downsample/padding_1_{height}x{width}", sampling(Downsample2D, (2, 4, height, width), padding=1)
        yield f"downsample/padding_end_{height}x{width}", sampling(Downsample2D, (2, 4, height, width), padding=0)

    yield "upsample/double", sampling(Upsample2D, (2, 4, 3, 5))
    yield "upsample/odd", sampling(Upsample2D, (2, 4, 3, 5), size=(5, 9))

    tokens, context = randn(2, 6, 8, seed=1), randn(2, 5, 12, seed=2)
    yield "attention/self", attention(tokens, heads=2, dim_head=4)
    yield "attention/cross", attention(tokens, context, cross_attention_dim=12, heads=3, dim_head=4)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]])
    bias = (1 - mask[:, None].float()) * -10000  # as a UNet makes it of an encoder_attention_mask
    yield "attention/masked", attention(tokens, context, bias, cross_attention_dim=12, heads=2, dim_head=4)
    yield "attention/biases", attention(tokens, heads=2, dim_head=4, bias=True, out_bias=False)
    yield "attention/spatial", attention(
        0.01 * randn(2, 8, 3, 5, seed=1), heads=1, dim_head=8, norm_num_groups=4, eps=1e-6, bias=True, residual_connection=True
    )


def call(layer, x, temb=None, context=None, mask=None, size=None):
    if isinstance(layer, ResnetBlock2D):
        return layer(x, temb)
    if isinstance(layer, Upsample2D):
        return layer(x, size)
    if isinstance(layer, Attention):
        return layer(x, encoder_hidden_states=context, attention_mask=mask)
    return layer(x)


def nearest(in_length: int, out_length: int) -> list[int]:
    """Which of the cells 0, 1, 2 … PyTorch repeats where."""
    cells = torch.arange(in_length, dtype=torch.float32).reshape(1, 1, in_length, 1)
    return torch.nn.functional.interpolate(cells, size=(out_length, 1), mode="nearest").int().flatten().tolist()


def make(out: Path) -> None:
    for seed, (name, (layer, inputs)) in enumerate(cases()):
        randomize(layer, seed)
        if name == "resnet/small":  # so that what the norms add to the variance counts
            inputs["x"] *= 0.01
            layer.conv1.weight.mul_(0.01)
            layer.conv1.bias.mul_(0.01)
        output = call(layer, **inputs)
        # Downsample2D holds its convolution under two names; checkpoints have `conv`.
        weights = {key: value for key, value in layer.state_dict().items() if not key.startswith("Conv2d_0")}
        save_tensors(out / f"{name}.safetensors", weights)
        tensors = {key: value for key, value in inputs.items() if torch.is_tensor(value)}
        save_tensors(out / f"{name}.io.safetensors", {**tensors, "output": output})

    # In all but the first three, a quotient of integers would choose other cells than PyTorch's single precision does.
    pairs = [(3, 5), (12, 23), (5, 3), (2, 82), (2, 94), (3, 123), (7, 287), (124, 14)]
    save_json(out / "nearest.json", [{"in": a, "out": b, "source": nearest(a, b)} for a, b in pairs])
