import { describe, expect, it } from "vitest";
import { ConfigError } from "../../src/errors.ts";
import { isModelClass, modelFrom } from "../../src/models/model-from.ts";
import { SiglipTextModel } from "../../src/models/siglip-text.ts";

describe("a model of a config.json", () => {
  it("of custom code is told by the type of the text transformer in it", () => {
    const json = { text_config: { model_type: "siglip_text_model", hidden_size: 8, num_attention_heads: 2 } };
    expect(isModelClass("MitsuaJapaneseCLIPTextModel", json)).toBe(true);
    expect(modelFrom("MitsuaJapaneseCLIPTextModel", json, "a/config.json")).toBeInstanceOf(SiglipTextModel);
  });

  it.each(["T5EncoderModel", "constructor", "toString"])("of class %s is refused", (className) => {
    expect(isModelClass(className, {})).toBe(false);
    for (const json of [{}, { model_type: className }]) {
      expect(() => modelFrom(className, json, "a/config.json")).toThrow(ConfigError);
      expect(() => modelFrom(className, json, "a/config.json")).toThrow(`a/config.json: the class ${className} is not`);
    }
  });
});
