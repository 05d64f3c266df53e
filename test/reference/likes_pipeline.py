"""The Mitsua Likes pipeline as its card describes it, on diffusers' own parts: the SDXL pipeline with one text encoder.

The published pipeline file is gated and was not read. Everything here is diffusers 0.31 (StableDiffusionXLPipeline: the batch order,
the micro-conditioning, guidance and its rescaling, the de-normalisation of latents) but for the text encoder, which is SigLIP's.
"""

import torch
from diffusers import DiffusionPipeline
from diffusers.image_processor import VaeImageProcessor
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import rescale_noise_cfg
from diffusers.utils.torch_utils import randn_tensor
from transformers.modeling_attn_mask_utils import _create_4d_causal_attention_mask


class LikesPipeline(DiffusionPipeline):
    def __init__(self, vae, text_encoder, tokenizer, unet, scheduler, character_detector, character_detector_processor, force_zeros_for_empty_prompt=False):
        super().__init__()
        self.register_modules(
            vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=scheduler,
            character_detector=character_detector, character_detector_processor=character_detector_processor,
        )
        self.register_to_config(force_zeros_for_empty_prompt=force_zeros_for_empty_prompt)
        self.vae_scale_factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self.image_processor = VaeImageProcessor(vae_scale_factor=self.vae_scale_factor)

    def encode(self, texts, text_mask="none", hidden_state="last"):
        """The hidden states [B, N, C] that the UNet attends to, and the pooled vector [B, C]."""
        tokens = self.tokenizer(texts, padding="max_length", max_length=self.tokenizer.model_max_length, truncation=True, return_tensors="pt", return_attention_mask=True)
        ids = tokens.input_ids
        if text_mask == "causal":
            # SiglipTextTransformer has no such option: its encoder is run with the mask that CLIP's would make.
            model = self.text_encoder.text_model
            embedded = model.embeddings(ids)
            mask = _create_4d_causal_attention_mask(ids.shape, embedded.dtype, device=embedded.device)
            out = model.encoder(embedded, attention_mask=mask, output_hidden_states=True)
            last = model.final_layer_norm(out.last_hidden_state)
            pooled, hidden = model.head(last[:, -1]), out.hidden_states
        else:
            out = self.text_encoder(ids, attention_mask=tokens.attention_mask if text_mask == "padding" else None, output_hidden_states=True)
            last, pooled, hidden = out.last_hidden_state, out.pooler_output, out.hidden_states
        return (last if hidden_state == "last" else hidden[-2]), pooled

    def denormalize(self, latents):
        config = self.vae.config
        if getattr(config, "latents_mean", None) and getattr(config, "latents_std", None):
            shape = (1, config.latent_channels, 1, 1)
            mean, std = torch.tensor(config.latents_mean).view(shape), torch.tensor(config.latents_std).view(shape)
            return latents * std / config.scaling_factor + mean
        return latents / config.scaling_factor

    def normalize(self, latents):
        config = self.vae.config
        if getattr(config, "latents_mean", None) and getattr(config, "latents_std", None):
            shape = (1, config.latent_channels, 1, 1)
            mean, std = torch.tensor(config.latents_mean).view(shape), torch.tensor(config.latents_std).view(shape)
            return (latents - mean) * config.scaling_factor / std
        return latents * config.scaling_factor

    @torch.no_grad()
    def __call__(self, prompt, negative_prompt=None, seeds=(0,), height=None, width=None, num_inference_steps=40, guidance_scale=5.0, guidance_rescale=0.7,
                 eta=0.0, text_mask="none", text_hidden_state="last", init_latents=None, image=None, strength=1.0, mask=None):
        """Returns a dict of everything on the way. `init_latents` with `strength` is SDXL's image-to-image, with `mask` its inpainting, both after the VAE encoder."""
        batch = len(prompt)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        embeds, pooled = self.encode(prompt, text_mask, text_hidden_state)
        if negative_prompt is None and self.config.force_zeros_for_empty_prompt:
            negative_embeds, negative_pooled = torch.zeros_like(embeds), torch.zeros_like(pooled)
        else:
            negative_embeds, negative_pooled = self.encode([negative_prompt or ""] * batch, text_mask, text_hidden_state)

        self.scheduler.set_timesteps(num_inference_steps)
        timesteps = self.scheduler.timesteps
        shape = (batch, self.unet.config.in_channels, height // self.vae_scale_factor, width // self.vae_scale_factor)
        if image is not None:  # PIL; SDXL's image-to-image draws from the encoder's distribution before it draws the noise
            pixels = self.image_processor.preprocess(image)
            init_latents = torch.cat([self.normalize(self.vae.encode(pixels).latent_dist.sample(generator)) for generator in generators])
        noise = randn_tensor(shape, generator=generators, dtype=torch.float32)
        if init_latents is None:
            latents = noise * self.scheduler.init_noise_sigma
        else:
            first = max(num_inference_steps - min(int(num_inference_steps * strength), num_inference_steps), 0)
            timesteps = timesteps[first * self.scheduler.order :]
            if mask is not None and strength == 1.0:
                latents = noise * self.scheduler.init_noise_sigma
            else:
                latents = self.scheduler.add_noise(init_latents, noise, timesteps[:1].repeat(batch))

        time_ids = torch.tensor([[height, width, 0, 0, height, width]], dtype=torch.float32).repeat(batch, 1)
        guided = guidance_scale > 1
        context = torch.cat([negative_embeds, embeds]) if guided else embeds
        added = {
            "text_embeds": torch.cat([negative_pooled, pooled]) if guided else pooled,
            "time_ids": torch.cat([time_ids, time_ids]) if guided else time_ids,
        }
        steps = []
        for i, t in enumerate(timesteps):
            inputs = torch.cat([latents, latents]) if guided else latents
            inputs = self.scheduler.scale_model_input(inputs, t)
            prediction = self.unet(inputs, t, encoder_hidden_states=context, added_cond_kwargs=added, return_dict=False)[0]
            if guided:
                unconditional, conditional = prediction.chunk(2)
                prediction = unconditional + guidance_scale * (conditional - unconditional)
                if guidance_rescale > 0:
                    prediction = rescale_noise_cfg(prediction, conditional, guidance_rescale=guidance_rescale)
            latents = self.scheduler.step(prediction, t, latents, eta=eta, generator=generators, return_dict=False)[0]
            if mask is not None:
                kept = init_latents
                if i < len(timesteps) - 1:
                    kept = self.scheduler.add_noise(init_latents, noise, timesteps[i + 1 : i + 2])
                latents = (1 - mask) * kept + mask * latents
            steps.append(latents.clone())

        image = self.vae.decode(self.denormalize(latents), return_dict=False)[0]
        pictures = self.image_processor.postprocess(image, output_type="pil")
        pixels = self.character_detector_processor(pictures, return_tensors="pt")
        logits = self.character_detector(**pixels).logits
        return {
            "initial_latents": noise, "timesteps": timesteps, "steps": torch.stack(steps), "image": (image / 2 + 0.5).clamp(0, 1), "pictures": pictures,
            "prompt_embeds": embeds, "pooled_prompt_embeds": pooled, "negative_prompt_embeds": negative_embeds, "probabilities": logits.sigmoid(),
        }
