"""The peer of measure.ts: the same files and inputs on PyTorch, diffusers and transformers, as their users run them.

    python3 bench/peer.py TASK

It takes one word a line on standard input (`load`, `run`, `end`) and answers each with one JSON object on standard output.
"""

import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
answers = os.fdopen(os.dup(1), "w")  # whatever a library prints goes to standard error
os.dup2(2, 1)


def answer(**fields) -> None:
    print(json.dumps(fields), file=answers, flush=True)


import diffusers
import torch
import transformers

for library in (diffusers, transformers):
    library.utils.logging.set_verbosity_error()


def draw(shapes: dict) -> dict:
    generators = [torch.Generator().manual_seed(seed) for seed in range(len(shapes))]
    return {name: torch.randn(shape, generator=generator) for (name, shape), generator in zip(shapes.items(), generators)}


def small():
    x = torch.tensor([1.0, 2.0, 3.0])

    def run():
        y = x
        for _ in range(100):
            y = torch.tanh(y + 1) * x
            y.tolist()
        return y

    return run


def model_of(task: dict):
    """The model as its users have it, or in one of the other ways that they may try: see tasks.ts."""
    kind = getattr(diffusers, task["className"], None) or getattr(transformers, task["className"])
    dtype = torch.bfloat16 if task["kind"] == "bf16" else torch.float32
    model = kind.from_pretrained(task["folder"]).to(dtype).eval()
    if task["kind"] in ("channels_last", "compile"):
        model.to(memory_format=torch.channels_last)
    if task["kind"] == "compile":
        model = torch.compile(model)
    inputs = {name: x.to(dtype) for name, x in draw(task.get("shapes", {})).items()}
    if task["kind"] in ("channels_last", "compile"):
        inputs = {name: x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x for name, x in inputs.items()}
    ids = torch.tensor([task.get("ids", [])])
    if task["what"] == "unet":
        added = {"text_embeds": inputs["pooled"], "time_ids": torch.tensor([task["timeIds"]] * len(inputs["latents"]))} if "pooled" in inputs else None
        return lambda: model(inputs["latents"], task["timestep"], inputs["context"], added_cond_kwargs=added).sample
    if task["what"] == "vae":
        if task.get("isTiled"):  # those of measure.ts
            model.enable_tiling()
            model.tile_latent_min_size, model.tile_sample_min_size = 64, 512
        return lambda: model.decode(inputs["z"]).sample
    if task["what"] == "swin":
        return lambda: model(inputs["pixels"]).logits
    return lambda: model(ids).last_hidden_state


def training_of(task: dict):
    """A step as PyTorch's users write it, with the fused AdamW: forward, backward, clipping, AdamW, the average. Loss and norm come back."""
    layout = {"memory_format": torch.channels_last} if task["kind"] == "channels_last" else {}
    model = getattr(diffusers, task["className"]).from_pretrained(task["folder"]).to(**layout).train()
    inputs = {name: x.contiguous(**layout) if x.ndim == 4 else x for name, x in draw(task["shapes"]).items()}
    added = {"text_embeds": inputs["pooled"], "time_ids": torch.tensor([task["timeIds"]] * len(inputs["latents"]))}
    weights = list(model.parameters())
    average = [weight.detach().clone() for weight in weights]
    groups = [  # the numbers of training.ts
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": 0.01},
        {"params": [weight for weight in weights if weight.ndim == 1], "weight_decay": 0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-4, fused=True)

    def run():
        predicted = model(inputs["latents"], task["timestep"], inputs["context"], added_cond_kwargs=added).sample
        loss = torch.nn.functional.mse_loss(predicted, inputs["target"])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(weights, 1)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            torch._foreach_lerp_(average, weights, 0.001)
        return torch.stack([loss.detach(), norm])

    return run


def pipeline_of(task: dict):
    """The picture, and when each step had ended."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test" / "reference"))
    threads = torch.get_num_threads()
    import pipeline as reference  # whose numbers come from one thread

    torch.set_num_threads(threads)
    reference.folder = Path(task["folder"])
    request = task["request"]
    pipeline = reference.load(force_zeros=False)
    ends = []
    pipeline.unet.register_forward_hook(lambda *_: ends.append(time.perf_counter()))

    def run():
        ends.clear()
        image = pipeline(
            prompt=[request["prompt"]], negative_prompt=request["negativePrompt"], seeds=[request["seed"]],
            width=request["width"], height=request["height"], num_inference_steps=request.get("peerSteps", request["steps"]),
        )["image"]
        return image, list(ends)

    return run


def compute_of(task: dict):
    if task["what"] == "small":
        return lambda run=small(): (run(), None)
    if task["what"] == "picture":
        return pipeline_of(task)
    run = training_of(task) if task["what"] == "train" else model_of(task)
    return lambda: (run(), None)


def main() -> None:
    task = json.loads(sys.argv[1])
    answer(version=f"PyTorch {torch.__version__}, diffusers {diffusers.__version__}, transformers {transformers.__version__}, {torch.get_num_threads()} threads")
    output = task["output"]
    for word in map(str.strip, sys.stdin):
        start = time.perf_counter()
        if word == "load":
            compute = compute_of(task)
            if task["kind"] == "compile":  # which happens when it is first run
                with torch.inference_mode():
                    compute()
            answer(seconds=time.perf_counter() - start)
        elif word == "run":
            with torch.inference_mode(task["what"] != "train"):
                result, ends = compute()
            answer(seconds=time.perf_counter() - start, **({"steps": [end - start for end in ends]} if ends else {}))
            if output:
                Path(output).write_bytes(result.float().contiguous().numpy().tobytes())
                output = None
        else:
            unit = 1 if sys.platform == "darwin" else 1024
            answer(peakBytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
            return


main()
