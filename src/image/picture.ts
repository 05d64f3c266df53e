import { InputError } from "../errors.ts";

/** A picture of 8 bits a channel: `data` is [height, width, 3], red, green, blue, row by row from the top left. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** A picture of any numbers, [height, width, 3]. */
export interface FloatPicture {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** @throws InputError where the size is no size, or the data is not of that size */
export function checkPicture({ width, height, data }: Picture | FloatPicture): void {
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) {
    throw new InputError(`A picture of ${width}×${height} pixels cannot be: both sides must be whole numbers over 0.`);
  }
  if (data.length !== width * height * 3) {
    throw new InputError(
      `A picture of ${width}×${height} pixels needs ${width * height * 3} numbers, red, green and blue for each pixel; ` +
        `${data.length} were given.`,
    );
  }
}

/**
 * From what the autoencoder decodes, −1…1, to 0…1, clamped.
 * @throws InputError where a value is not finite
 */
export function denormalize(decoded: Float32Array): Float32Array {
  const image = new Float32Array(decoded.length);
  for (let i = 0; i < decoded.length; i++) {
    const x = decoded[i]!;
    if (!Number.isFinite(x)) {
      throw new InputError(`The decoded picture holds ${x}, which is no colour: the autoencoder overflowed.`);
    }
    image[i] = Math.min(Math.max(x / 2 + 0.5, 0), 1);
  }
  return image;
}

/**
 * From 0…1 to 8 bits, halves rounded to the even neighbour, in float32 as diffusers does.
 * @throws InputError where a value is outside 0…1, or the data is not of the picture's size
 */
export function quantize(image: FloatPicture): Picture {
  checkPicture(image);
  const { width, height, data } = image;
  const pixels = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const x = data[i]!;
    if (!(x >= 0 && x <= 1)) throw new InputError(`A picture to be rounded to 8 bits holds ${x}; its values are 0…1.`);
    pixels[i] = roundHalfToEven(Math.fround(x * 255));
  }
  return { width, height, data: pixels };
}

function roundHalfToEven(x: number): number {
  const below = Math.floor(x);
  const isUp = x - below > 0.5 || (x - below === 0.5 && below % 2 === 1);
  return isUp ? below + 1 : below;
}

/**
 * The picture that the autoencoder decoded: [height, width, 3] of −1…1 to 8 bits. diffusers' VaeImageProcessor.
 * @throws InputError where a value is not finite, or the data is not of the picture's size
 */
export function postprocess({ width, height, data }: FloatPicture): Picture {
  return quantize({ width, height, data: denormalize(data) });
}
