import type { Picture } from "../../src/image/index.ts";

/** The same bytes as noise in test/reference/image.py. */
export function noise(width: number, height: number): Picture {
  let x = width * 65536 + height;
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    data[i] = x >>> 24;
  }
  return { width, height, data };
}

export function extremes(width: number, height: number): Picture {
  return { width, height, data: noise(width, height).data.map((value) => (value < 128 ? 0 : 255)) };
}
