"""Records what every module of a PyTorch model returns, for `tfjs-diffusion compare` to hold a TypeScript model against.

    from recorder import record
    unet = UNet2DConditionModel.from_pretrained("model/unet")
    record("unet.safetensors", "unet", unet, {"sample": latents, "timestep": t, "encoder_hidden_states": text})

    vae = AutoencoderKL.from_pretrained("model/vae")
    record("vae.safetensors", "vae", vae, {"latents": z}, lambda: vae.decode(z))

Needs torch and safetensors only. The file has `inputs/<argument>`, `outputs/<path of a module>` and `output`, what the model
itself returns; of a module that returns several tensors the first is taken. `wanted` chooses modules by their path.
"""

import torch
from safetensors.torch import save_file


def first_tensor(output):
    while not torch.is_tensor(output):
        values = output.values() if isinstance(output, dict) else output if isinstance(output, (list, tuple)) else vars(output).values()
        output = next((value for value in values if value is not None), None)
        if output is None:
            return None
    return output


@torch.no_grad()
def record(path, component, model, inputs, run=None, wanted=lambda path: True):
    """Runs `run()`, by default `model(**inputs)`, and writes a safetensors file. `component` is the model's folder: "unet"."""
    tensors = {f"inputs/{name}": torch.as_tensor(value) for name, value in inputs.items()}

    def keep(module_path):
        def hook(_module, _inputs, output):
            tensor = first_tensor(output)
            if tensor is not None:
                tensors[f"outputs/{module_path}" if module_path else "output"] = tensor
        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in model.named_modules() if wanted(name)]
    try:
        run() if run else model(**inputs)
    finally:
        for hook in hooks:
            hook.remove()
    # A copy of each: modules may return one and the same memory, which safetensors refuses.
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    save_file(plain, path, {"component": component})
