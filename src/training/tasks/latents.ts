import * as tf from "@tensorflow/tfjs-core";
import { type Autoencoder, normalizeLatents } from "../../models/autoencoder.ts";
import { encodePicture } from "../../pipelines/encode.ts";
import { type TensorData, takeData, toTensor } from "../../pipelines/tensor-data.ts";
import type { Example } from "../dataset.ts";

const maxBytes = 2 ** 30;

/** The latents of pictures by a frozen autoencoder, kept as far as there is room: epochs after the first find them here. */
export class Latents {
  readonly #autoencoder: Autoencoder;
  readonly #kept = new Map<string, TensorData>();
  #bytes = 0;

  constructor(autoencoder: Autoencoder) {
    this.#autoencoder = autoencoder;
  }

  /**
   * The mean of a picture's latents, scaled as the UNet takes them, [1, C, h, w]. One picture at a time, so that its numbers
   * are the same whatever batch it is in, and a resumed training finds the same bits.
   */
  async of({ key, picture }: Example): Promise<TensorData> {
    const name = key === undefined ? undefined : `${key} ${picture.width}×${picture.height}`;
    const known = name === undefined ? undefined : this.#kept.get(name);
    if (known) return known;
    const latents = await this.#encode(picture);
    if (name !== undefined) this.#keep(name, latents);
    return latents;
  }

  async #encode(picture: Example["picture"]): Promise<TensorData> {
    const { mean } = await encodePicture(picture, this.#autoencoder, { signal: undefined });
    return takeData(tf.tidy(() => normalizeLatents(toTensor<tf.Tensor4D>(mean), this.#autoencoder.config)));
  }

  #keep(name: string, latents: TensorData): void {
    if (this.#bytes + latents.data.byteLength > maxBytes) return;
    this.#kept.set(name, latents);
    this.#bytes += latents.data.byteLength;
  }
}
