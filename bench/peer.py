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


def model_of(task: dict):
    kind = getattr(diffusers, task["className"], None) or getattr(transformers, task["className"])
    model = kind.from_pretrained(task["folder"]).float().eval()
    inputs = draw(task.get("shapes", {}))
    ids = torch.tensor([task.get("ids", [])])
    if task["what"] == "unet":
        added = {"text_embeds": inputs["pooled"], "time_ids": torch.tensor([task["timeIds"]] * len(inputs["latents"]))} if "pooled" in inputs else None
        return lambda: model(inputs["latents"], task["timestep"], inputs["context"], added_cond_kwargs=added).sample
    if task["what"] == "vae":
        return lambda: model.decode(inputs["z"]).sample
    if task["what"] == "swin":
        return lambda: model(inputs["pixels"]).logits
    return lambda: model(ids).last_hidden_state


def pipeline_of(request: dict):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test" / "reference"))
    import pipeline as reference

    pipeline = reference.load(force_zeros=False)
    return lambda: pipeline(
        prompt=[request["prompt"]], negative_prompt=request["negativePrompt"], seeds=[request["seed"]],
        width=request["width"], height=request["height"], num_inference_steps=request["steps"],
    )["image"]


def main() -> None:
    task = json.loads(sys.argv[1])
    answer(version=f"PyTorch {torch.__version__}, diffusers {diffusers.__version__}, transformers {transformers.__version__}, {torch.get_num_threads()} threads")
    output = task["output"]
    for word in map(str.strip, sys.stdin):
        start = time.perf_counter()
        if word == "load":
            compute = pipeline_of(task["request"]) if "request" in task else model_of(task)
            answer(seconds=time.perf_counter() - start)
        elif word == "run":
            with torch.inference_mode():
                result = compute()
            answer(seconds=time.perf_counter() - start)
            if output:
                Path(output).write_bytes(result.contiguous().numpy().tobytes())
                output = None
        else:
            unit = 1 if sys.platform == "darwin" else 1024
            answer(peakBytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
            return


main()
