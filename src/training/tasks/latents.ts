import * as tf from "@tensorflow/tfjs-core";
import { runStages } from "../../layers/index.ts";
import { type Autoencoder, normalizeLatents } from "../../models/autoencoder.ts";
import { pixelsOf } from "../../pipelines/picture-tensors.ts";
import { type TensorData, takeData } from "../../pipelines/tensor-data.ts";
import type { Example } from "../dataset.ts";

const maxBytes = 2 ** 30;

/**
 * Pictures are encoded so many at a time, a quarter of the time of one by one, and always so many: what is lacking is filled up.
 * So a picture's latents are the same to the bit whichever others are beside it, and a resumed training finds those it had.
 */
const together = 16;

/** The latents of pictures by a frozen autoencoder, kept as far as there is room: epochs after the first find them here. */
export class Latents {
  readonly #autoencoder: Autoencoder;
  readonly #kept = new Map<string, TensorData>();
  #bytes = 0;

  constructor(autoencoder: Autoencoder) {
    this.#autoencoder = autoencoder;
  }

  /** The means of the latents of pictures of one size, scaled as the UNet takes them, each [1, C, h, w]. */
  async of(examples: readonly Example[]): Promise<TensorData[]> {
    const found = examples.map((example) => this.#kept.get(nameOf(example) ?? ""));
    const missing = examples.filter((_, i) => !found[i]);
    const encoded: TensorData[] = [];
    for (let start = 0; start < missing.length; start += together) {
      encoded.push(...(await this.#encode(missing.slice(start, start + together))));
    }
    for (const [i, example] of missing.entries()) this.#keep(nameOf(example), encoded[i]!);
    return found.map((known) => known ?? encoded.shift()!);
  }

  async #encode(examples: readonly Example[]): Promise<TensorData[]> {
    const x = pixelsOf(Array.from({ length: together }, (_, i) => (examples[i] ?? examples[0]!).picture));
    const { mean, logvar } = await runStages(this.#autoencoder.encode(x));
    tf.dispose([x, logvar]);
    const latents = tf.tidy(() => normalizeLatents(mean, this.#autoencoder.config));
    mean.dispose();
    const { data, shape } = await takeData(latents); // [16, C, h, w]
    const size = data.length / together;
    return examples.map((_, i) => ({ shape: [1, ...shape.slice(1)], data: data.slice(i * size, (i + 1) * size) }));
  }

  #keep(name: string | undefined, latents: TensorData): void {
    if (name === undefined || this.#bytes + latents.data.byteLength > maxBytes) return;
    this.#kept.set(name, latents);
    this.#bytes += latents.data.byteLength;
  }
}

function nameOf({ key, picture }: Example): string | undefined {
  return key === undefined ? undefined : `${key} ${picture.width}×${picture.height}`;
}
