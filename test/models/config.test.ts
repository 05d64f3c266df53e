import { expect, test } from "vitest";
import * as z from "zod";
import { absent, only } from "../../src/config.ts";
import { ConfigError } from "../../src/errors.ts";
import { parseConfig, size } from "../../src/models/config.ts";

const schema = z.object({
  channels: size,
  depth: z.union([size, z.array(size)]).default(1),
  act_fn: z.enum(["silu", "gelu"]).default("silu"),
  dual: only(false),
  heads: absent,
  inner: z.strictObject({ width: size }).optional(),
  dropout: z.number().optional(),
});

const message = (json: unknown): string => {
  try {
    parseConfig(schema, json, "unet/config.json");
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error("accepted");
};

test("reads what the schema declares, with its defaults, and passes over private and harmless fields", () => {
  const json = { channels: 8, _class_name: ["a", "b"], torch_dtype: "float16", dropout: 0.5, dual: false, heads: null };
  expect(parseConfig(schema, json, "x")).toEqual({
    channels: 8,
    depth: 1,
    act_fn: "silu",
    dual: false,
    heads: null,
    dropout: 0.5,
  });
});

test("says what is wrong, where, and what is allowed", () => {
  expect(message([])).toBe("unet/config.json must hold a JSON object, with a field for each setting.");
  expect(message({})).toBe('unet/config.json: the field "channels" is missing.');
  expect(message({ channels: 8, colour: "red" })).toBe(
    'unet/config.json: the field "colour" is not supported (its value is "red").',
  );
  expect(message({ channels: 8, act_fn: "relu" })).toBe(
    'unet/config.json: the field "act_fn" is "relu", which is not supported: it must be "silu" or "gelu".',
  );
  expect(message({ channels: 8, dual: true })).toBe(
    'unet/config.json: the field "dual" is true, which is not supported: it must be false.',
  );
  expect(message({ channels: 8, heads: 4 })).toBe(
    'unet/config.json: the field "heads" is 4, which is not supported: it must be null or left out.',
  );
  expect(message({ channels: 1e9 })).toContain('the field "channels" is 1000000000, which is not supported');
  expect(message({ channels: 8, depth: [1, "2"] })).toContain('the field "depth.1" is "2"');
  expect(message({ channels: 8, depth: "2" })).toContain(
    'the field "depth" is "2", which is not supported: expected number',
  );
  expect(message({ channels: 8, inner: { width: 1, height: 2 } })).toContain(
    'the field "inner.height" is not supported',
  );
});

test("a long value is cut", () => {
  expect(message({ channels: 8, act_fn: "x".repeat(500) }).length).toBeLessThan(250);
});
