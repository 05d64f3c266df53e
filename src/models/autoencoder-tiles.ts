import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.ts";
import { keeping, type Stages } from "../layers/stages.ts";
import type { Autoencoder } from "./autoencoder.ts";
import { type AutoencoderConfig, pixelsPerCell } from "./autoencoder-config.ts";

export interface Tiles {
  /** The side of a tile, in latent cells. */
  size: number;
  /** How far a tile reaches into the next one, in latent cells. There the two are blended. */
  overlap: number;
}

/** diffusers' tiles: as large as the pictures that the autoencoder was trained on, a quarter of them in common. */
export function defaultTiles(config: AutoencoderConfig): Tiles {
  const size = Math.floor(config.sampleSize / pixelsPerCell(config));
  return { size, overlap: size - Math.floor(size * 0.75) };
}

/**
 * Decodes tile by tile, so that memory is bounded by a tile instead of the picture. The picture differs a little from a
 * decoding in one go, since norms and attention see a tile only; it is that of diffusers' `enable_tiling`. Latents no larger
 * than a tile are decoded in one go.
 *
 * z [B, h, w, Z] → pictures [B, f·h, f·w, out], about −1 … 1.
 * @throws InputError for tiles that are no whole numbers of cells, or overlap altogether
 */
export function* tiledDecode(
  autoencoder: Autoencoder,
  z: tf.Tensor4D,
  { size, overlap }: Tiles = defaultTiles(autoencoder.config),
): Stages<tf.Tensor4D> {
  checkTiles({ size, overlap });
  const [, height, width] = z.shape;
  if (height <= size && width <= size) return yield* autoencoder.decode(z);

  const stride = size - overlap;
  const pixels = pixelsPerCell(autoencoder.config);
  const rows: tf.Tensor4D[] = [];
  let above: tf.Tensor4D[] = []; // the lower edges of the tiles one row up
  for (let top = 0; top < height; top += stride) {
    const row: tf.Tensor4D[] = [];
    const edges: tf.Tensor4D[] = [];
    let left: tf.Tensor4D[] = []; // the right edge of the tile before
    for (let start = 0; start < width; start += stride) {
      const cells = part(part(z, 1, top, size), 2, start, size);
      let tile = yield* keeping([...rows, ...above, ...row, ...edges, ...left], autoencoder.decode(cells));
      tile = blend(above[row.length], tile, 1);
      tile = blend(left[0], tile, 2);
      row.push(part(part(tile, 1, 0, stride * pixels), 2, 0, stride * pixels));
      edges.push(end(tile, 1, stride * pixels));
      left = [end(tile, 2, stride * pixels)];
    }
    rows.push(tf.concat(row, 2));
    above = edges;
    yield [...rows, ...above];
  }
  return tf.concat(rows, 1);
}

/**
 * Decodes one picture of a batch at a time, so that memory does not grow with the batch. Each one is decoded by `decode`:
 * `(one) => autoencoder.decode(one)`, or `(one) => tiledDecode(autoencoder, one)`.
 *
 * z [B, h, w, Z] → pictures [B, f·h, f·w, out], about −1 … 1.
 */
export function* slicedDecode(z: tf.Tensor4D, decode: (one: tf.Tensor4D) => Stages<tf.Tensor4D>): Stages<tf.Tensor4D> {
  const pictures: tf.Tensor4D[] = [];
  for (let i = 0; i < z.shape[0]; i++) {
    const one = part(z, 0, i, 1);
    pictures.push(yield* keeping([...pictures, one], decode(one)));
  }
  return tf.concat(pictures, 0);
}

/** The first rows (axis 1) or columns (axis 2) of a tile pass over from its neighbour's last ones. */
function blend(neighbour: tf.Tensor4D | undefined, tile: tf.Tensor4D, axis: 1 | 2): tf.Tensor4D {
  if (!neighbour) return tile;
  return tf.tidy(() => {
    const extent = Math.min(neighbour.shape[axis], tile.shape[axis]);
    if (extent === 0) return tile;
    const shape = axis === 1 ? [1, extent, 1, 1] : [1, 1, extent, 1];
    const ramp = (weight: (i: number) => number) =>
      tf.tensor(
        Array.from({ length: extent }, (_, i) => weight(i / extent)),
        shape,
      );
    const fading = tf.mul(
      end(neighbour, axis, neighbour.shape[axis] - extent),
      ramp((at) => 1 - at),
    );
    const rising = tf.mul(
      part(tile, axis, 0, extent),
      ramp((at) => at),
    );
    return tf.concat([tf.add(fading, rising), end(tile, axis, extent)], axis) as tf.Tensor4D;
  });
}

/** `count` slices along an axis, or as many as there are. */
function part(x: tf.Tensor4D, axis: number, start: number, count: number): tf.Tensor4D {
  const from = Math.min(start, x.shape[axis]!);
  const begin = x.shape.map((_, i) => (i === axis ? from : 0));
  const size = x.shape.map((length, i) => (i === axis ? Math.min(count, length - from) : length));
  return tf.slice(x, begin, size);
}

/** All slices along an axis from `start` on. */
function end(x: tf.Tensor4D, axis: number, start: number): tf.Tensor4D {
  return part(x, axis, start, Number.POSITIVE_INFINITY);
}

function checkTiles({ size, overlap }: Tiles): void {
  const fits = Number.isInteger(size) && Number.isInteger(overlap) && overlap >= 0 && overlap < size;
  if (!fits) {
    throw new InputError(
      `Tiles of ${size} latent cells that overlap by ${overlap} can't be decoded: both must be whole numbers, the overlap less than the size.`,
    );
  }
}
