import type { Picture } from "../image/index.ts";
import type { Draws } from "./draws.ts";

/** The most that noise adds to a number of a picture, as a standard deviation, of 255. */
const mostNoise = 12;

/** A picture as if a model had drawn it: blurred by up to a pixel, with some noise. */
export function worsened(picture: Picture, draws: Draws): Picture {
  const [strength, noise] = draws.uniform(2) as unknown as [number, number];
  const blurred = blur(picture, strength);
  const normals = draws.normal(picture.data.length);
  return { ...picture, data: Uint8Array.from(blurred, (x, i) => clamp(x + normals[i]! * noise * mostNoise)) };
}

function clamp(value: number): number {
  return Math.min(255, Math.max(0, Math.round(value)));
}

/** Each pixel and its four neighbours, averaged, mixed with the pixel itself. */
function blur({ width, height, data }: Picture, strength: number): Float32Array {
  const at = (x: number, y: number, channel: number) => {
    const [column, row] = [Math.min(width - 1, Math.max(0, x)), Math.min(height - 1, Math.max(0, y))];
    return data[(row * width + column) * 3 + channel]!;
  };
  return Float32Array.from(data, (own, i) => {
    const [x, y, channel] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3];
    const around = at(x - 1, y, channel) + at(x + 1, y, channel) + at(x, y - 1, channel) + at(x, y + 1, channel);
    return own + strength * ((own + around) / 5 - own);
  });
}
