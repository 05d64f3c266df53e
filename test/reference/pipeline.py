"""The whole system of weights/tiny in Python: every step's latents, the picture, and the classifier's probabilities."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from PIL import Image
from transformers import SiglipTextModel, SiglipTokenizer, SwinForImageClassification, ViTImageProcessor

from common import randn, save_json, save_tensors
from likes_pipeline import LikesPipeline

folder = Path(__file__).resolve().parents[2] / "weights" / "tiny"
prompt = "滝の中の絵藍ミツア、先生アート"
negative = "elan doodle, lowres"
usual = {"prompt": [prompt], "negative_prompt": negative, "seeds": [42], "width": 128, "height": 96, "num_inference_steps": 8}

# name: the arguments of LikesPipeline, as the test gives them to ours.
cases = {
    "usual": {},
    "batch": {"prompt": [prompt, prompt, "waterfall, impressionism painting", "waterfall, impressionism painting"], "seeds": [7, 8, 9, 10], "num_inference_steps": 3},
    "no_negative": {"negative_prompt": None, "num_inference_steps": 2},
    "zeros": {"negative_prompt": None, "force_zeros": True, "num_inference_steps": 2},
    "empty_negative": {"negative_prompt": "", "force_zeros": True, "num_inference_steps": 2},
    "unguided": {"guidance_scale": 1.0, "num_inference_steps": 2},
    "no_rescale": {"guidance_rescale": 0.0, "num_inference_steps": 2},
    "eta": {"eta": 0.6, "num_inference_steps": 3},
    "odd_size": {"width": 104, "height": 56, "num_inference_steps": 2},
    "padding_mask": {"text_mask": "padding", "num_inference_steps": 2},
    "causal_mask": {"text_mask": "causal", "num_inference_steps": 2},
    "penultimate": {"text_hidden_state": "penultimate", "num_inference_steps": 2},
    "penultimate_padding": {"text_mask": "padding", "text_hidden_state": "penultimate", "num_inference_steps": 2},
    "image_to_image": {"init_latents": (1, 8, 12, 16), "strength": 0.6, "num_inference_steps": 5},
    "picture_to_image": {"image": True, "prompt": [prompt, prompt], "seeds": [5, 6], "strength": 0.5, "num_inference_steps": 4},
    "inpaint": {"init_latents": (1, 8, 12, 16), "mask": True, "strength": 1.0, "num_inference_steps": 3},
    "inpaint_some": {"init_latents": (1, 8, 12, 16), "mask": True, "strength": 0.7, "num_inference_steps": 4},
}


def load(force_zeros: bool) -> LikesPipeline:
    """Float16 files, computed in float32."""
    models = {
        "vae": AutoencoderKL.from_pretrained(folder / "vae"),
        "text_encoder": SiglipTextModel.from_pretrained(folder / "text_encoder"),
        "unet": UNet2DConditionModel.from_pretrained(folder / "unet"),
        "character_detector": SwinForImageClassification.from_pretrained(folder / "character_detector"),
    }
    return LikesPipeline(
        **{name: model.float().eval() for name, model in models.items()},
        tokenizer=SiglipTokenizer.from_pretrained(folder / "tokenizer"),
        scheduler=DDIMScheduler.from_pretrained(folder / "scheduler"),
        character_detector_processor=ViTImageProcessor.from_pretrained(folder / "character_detector_processor"),
        force_zeros_for_empty_prompt=force_zeros,
    )


def make(out: Path) -> None:
    probabilities = {}
    for name, changes in cases.items():
        arguments = {**usual, **changes}
        pipeline = load(arguments.pop("force_zeros", False))
        pipeline.set_progress_bar_config(disable=True)
        inputs = {}
        if "init_latents" in arguments:
            inputs["init_latents"] = arguments["init_latents"] = randn(*arguments["init_latents"], seed=3)
        if "image" in arguments:
            pixels = torch.randint(0, 256, (arguments["height"], arguments["width"], 3), generator=torch.Generator().manual_seed(4), dtype=torch.uint8)
            inputs["picture"] = pixels
            arguments["image"] = Image.fromarray(pixels.numpy())
        if "mask" in arguments:
            # In pixels, as a caller has it; diffusers brings it to the latents' size.
            mask = torch.zeros(1, 1, arguments["height"], arguments["width"])
            mask[:, :, 20:70, 33:101] = 1
            inputs["mask"] = mask
            arguments["mask"] = torch.nn.functional.interpolate(mask, size=(arguments["height"] // 8, arguments["width"] // 8))
        result = pipeline(**arguments)
        # The usual case is kept whole; of the others, what tells whether they went another way.
        kept = ("initial_latents", "steps", "image", "prompt_embeds", "pooled_prompt_embeds", "negative_prompt_embeds") if name == "usual" else ("steps",)
        tensors = {key: result[key] for key in kept} | inputs
        if name == "usual":
            pixels = torch.frombuffer(bytearray(result["pictures"][0].tobytes()), dtype=torch.uint8)
            tensors["pixels"] = pixels.reshape(arguments["height"], arguments["width"], 3)
        save_tensors(out / f"{name}.safetensors", tensors)
        if name in ("usual", "batch"):
            labels = pipeline.character_detector.config.id2label
            probabilities[name] = [{labels[i]: p for i, p in enumerate(row)} for row in result["probabilities"].tolist()]
    save_json(out / "probabilities.json", probabilities)
