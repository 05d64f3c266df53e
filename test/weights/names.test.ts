import { describe, expect, test } from "vitest";
import { Layer, Linear } from "../../src/layers/index.ts";
import { loadWeights, type StoredTensor, type WeightSource, withUsualNames } from "../../src/weights/index.ts";
import { isComputed } from "../../src/weights/names.ts";
import { openExpected } from "../helpers/expected.ts";

/** The tensors of a file that are weights: shape and bytes. */
async function weightsIn(source: WeightSource): Promise<Record<string, StoredTensor>> {
  const names = [...source.entries.keys()].filter((name) => !isComputed(name)).sort();
  const tensors = names.map(async (name): Promise<[string, StoredTensor]> => {
    const { dtype, shape } = source.entries.get(name)!;
    return [name, { dtype, shape, bytes: await source.read(name) }];
  });
  return Object.fromEntries(await Promise.all(tensors));
}

describe("withUsualNames", () => {
  // The reference proved that timm's and transformers' model give the same logits with these files.
  test.each(["timm", "old_timm"])("gives %s's Swin transformers' names and values, q, k and v split", async (file) => {
    const timm = await openExpected(`weights/swin/${file}.safetensors`);
    const transformers = await openExpected("weights/swin/transformers.safetensors");
    const renamed = await weightsIn(withUsualNames(timm));
    const wanted = await weightsIn(transformers);
    expect(Object.keys(renamed)).toEqual(Object.keys(wanted));
    expect(renamed).toEqual(wanted);
    await Promise.all([timm.close(), transformers.close()]);
  });

  test("keeps old timm's computed buffers under transformers' names where it has them", async () => {
    const timm = await openExpected("weights/swin/old_timm.safetensors");
    const transformers = await openExpected("weights/swin/transformers.safetensors");
    expect([...withUsualNames(timm).entries.keys()].sort()).toEqual([...transformers.entries.keys()].sort());
    await Promise.all([timm.close(), transformers.close()]);
  });

  test("gives the attention of old autoencoders today's names", async () => {
    const old = await openExpected("weights/old_attention/diffusion_pytorch_model.safetensors");
    const today = await openExpected("weights/old_attention/today.safetensors");
    expect(await weightsIn(withUsualNames(old))).toEqual(await weightsIn(today));
    await Promise.all([old.close(), today.close()]);
  });

  test("leaves what has the usual names as it is", async () => {
    for (const file of ["swin/transformers", "old_attention/today", "kinds"]) {
      const source = await openExpected(`weights/${file}.safetensors`);
      expect(withUsualNames(source)).toBe(source);
      await source.close();
    }
  });

  test("reads ranges of a split tensor", async () => {
    const timm = await openExpected("weights/swin/timm.safetensors");
    const renamed = withUsualNames(timm);
    const name = "swin.encoder.layers.0.blocks.0.attention.self.value.weight";
    const whole = await renamed.read(name);
    expect(await renamed.read(name, { start: 16, end: 40 })).toEqual(whole.subarray(16, 40));
    await timm.close();
  });
});

function source(entries: Record<string, number[]>): WeightSource {
  return {
    path: "x.safetensors",
    metadata: {},
    entries: new Map(Object.entries(entries).map(([name, shape]) => [name, { dtype: "F32", shape }])),
    read: async (name) => new Uint8Array(4 * entries[name]!.reduce((a, b) => a * b, 1)),
    close: async () => {},
  };
}

describe("names", () => {
  test("two tensors that mean one are an error", () => {
    const both = source({
      "mid_block.attentions.0.proj_attn.weight": [2, 2],
      "mid_block.attentions.0.to_out.0.weight": [2, 2],
    });
    expect(() => withUsualNames(both)).toThrow(
      'x.safetensors has "mid_block.attentions.0.proj_attn.weight" and "mid_block.attentions.0.to_out.0.weight", ' +
        'which both mean "mid_block.attentions.0.to_out.0.weight". Remove one of them.',
    );
  });

  test("a fused tensor that is no three equal parts is an error", () => {
    const odd = source({ "patch_embed.proj.weight": [1], "layers.0.blocks.0.attn.qkv.weight": [4, 2] });
    expect(() => withUsualNames(odd)).toThrow(
      '"layers.0.blocks.0.attn.qkv.weight" of shape [4,2] can\'t be split into 3',
    );
  });

  test("a text transformer without its prefix gets it", () => {
    const bare = source({
      "embeddings.token_embedding.weight": [2, 2],
      "encoder.layers.0.mlp.fc1.bias": [2],
      "final_layer_norm.weight": [2],
      "text_projection.weight": [2, 2],
    });
    expect([...withUsualNames(bare).entries.keys()]).toEqual([
      "text_model.embeddings.token_embedding.weight",
      "text_model.encoder.layers.0.mlp.fc1.bias",
      "text_model.final_layer_norm.weight",
      "text_projection.weight",
    ]);
  });

  test("a model that has the names of the file is loaded with them, whatever they look like", async () => {
    class Attention extends Layer {
      query = new Linear(2, 2, { bias: false });
      projAttn = new Linear(2, 2, { bias: false });
      protected override forward() {
        return [];
      }
    }
    class Old extends Layer {
      attentions = [new Attention()];
      protected override forward() {
        return [];
      }
    }
    const model = new Old();
    await loadWeights(model, source({ "attentions.0.query.weight": [2, 2], "attentions.0.proj_attn.weight": [2, 2] }));
    expect(model.attentions[0]!.query.weight.isLoaded).toBe(true);
    model.attentions[0]!.query.weight.dispose();
    model.attentions[0]!.projAttn.weight.dispose();
  });
});
