import { WeightsError } from "../errors.ts";
import { byteLength, quoted, type TensorEntry, type WeightSource } from "./source.ts";

/** Buffers that checkpoints hold and models compute themselves. They are not weights. */
const computed = [/(^|\.)relative_position_index$/, /(^|\.)position_ids$/, /(^|\.)attn_mask$/];

export function isComputed(name: string): boolean {
  return computed.some((pattern) => pattern.test(name));
}

/** A way of naming that is not the usual one. */
interface Dialect {
  isSpokenIn(names: ReadonlyMap<string, unknown>): boolean;
  /**
   * Patterns of names and what stands for them; a list for a tensor whose rows hold several; none for one that is
   * dropped.
   */
  rules(names: ReadonlyMap<string, unknown>): readonly (readonly [RegExp, string | readonly string[]])[];
}

/** diffusers before 0.15 wrote the attention of autoencoders so (its `_convert_deprecated_attention_blocks`). */
const oldAttention: Dialect = {
  isSpokenIn: (names) => [...names.keys()].some((name) => /(^|\.)attentions\.\d+\.proj_attn\.weight$/.test(name)),
  rules: () => [
    [/^(|.*\.)attentions\.(\d+)\.query\./, "$1attentions.$2.to_q."],
    [/^(|.*\.)attentions\.(\d+)\.key\./, "$1attentions.$2.to_k."],
    [/^(|.*\.)attentions\.(\d+)\.value\./, "$1attentions.$2.to_v."],
    [/^(|.*\.)attentions\.(\d+)\.proj_attn\./, "$1attentions.$2.to_out.0."],
  ],
};

const timmBlock = "^layers\\.(\\d+)\\.blocks\\.(\\d+)\\.";
const hfBlock = "swin.encoder.layers.$1.blocks.$2.";

/** timm's and Microsoft's Swin, in transformers' names (its `convert_swin_timm_to_pytorch.py`). */
const timmSwin: Dialect = {
  isSpokenIn: (names) => names.has("patch_embed.proj.weight") && names.has("layers.0.blocks.0.attn.qkv.weight"),
  rules: (names) => [
    [/^patch_embed\.proj\./, "swin.embeddings.patch_embeddings.projection."],
    [/^patch_embed\.norm\./, "swin.embeddings.norm."],
    [new RegExp(`${timmBlock}norm1\\.`), `${hfBlock}layernorm_before.`],
    [new RegExp(`${timmBlock}norm2\\.`), `${hfBlock}layernorm_after.`],
    [
      new RegExp(`${timmBlock}attn\\.qkv\\.`),
      ["query", "key", "value"].map((part) => `${hfBlock}attention.self.${part}.`),
    ],
    [new RegExp(`${timmBlock}attn\\.relative_position_`), `${hfBlock}attention.self.relative_position_`],
    [new RegExp(`${timmBlock}attn\\.proj\\.`), `${hfBlock}attention.output.dense.`],
    [new RegExp(`${timmBlock}attn_mask$`), []],
    [new RegExp(`${timmBlock}mlp\\.fc1\\.`), `${hfBlock}intermediate.dense.`],
    [new RegExp(`${timmBlock}mlp\\.fc2\\.`), `${hfBlock}output.dense.`],
    ...timmDownsampling(names),
    [/^norm\./, "swin.layernorm."],
    [/^head\.(?:fc\.)?/, "classifier."],
  ],
};

/** Patches merge at the end of a stage; timm 0.9 moved the merging to the beginning of the next. */
function timmDownsampling(names: ReadonlyMap<string, unknown>): (readonly [RegExp, string])[] {
  const shift = names.has("layers.0.downsample.reduction.weight") ? 0 : 1;
  const stages = new Set([...names.keys()].map((name) => /^layers\.(\d+)\.downsample\./.exec(name)?.[1]));
  stages.delete(undefined);
  return [...stages].map((stage) => [
    new RegExp(`^layers\\.${stage}\\.downsample\\.`),
    `swin.encoder.layers.${Number(stage) - shift}.downsample.`,
  ]);
}

/** A text transformer that was saved without the model around it. */
const bareText: Dialect = {
  isSpokenIn: (names) => names.has("embeddings.token_embedding.weight") && names.has("final_layer_norm.weight"),
  rules: () => [[/^(?=embeddings\.|encoder\.|final_layer_norm\.|head\.)/, "text_model."]],
};

const dialects = [oldAttention, timmSwin, bareText];

/** Where a tensor lies in the source that is renamed: a tensor, or one of equal parts of its rows. */
interface Origin {
  readonly name: string;
  readonly entry: TensorEntry;
  readonly part: number;
}

/**
 * The same weights under the names that diffusers and transformers give them today. Old diffusers attention, timm's
 * Swin (whose fused q, k and v are split) and text transformers without their prefix are known; all other names stay.
 *
 * @throws WeightsError where two tensors would get one name, or a fused tensor cannot be split.
 */
export function withUsualNames(source: WeightSource): WeightSource {
  const rules = dialects.filter((it) => it.isSpokenIn(source.entries)).flatMap((it) => it.rules(source.entries));
  if (rules.length === 0) return source;
  const origins = new Map<string, Origin>();
  for (const [name, entry] of source.entries) {
    const usual = rename(name, rules);
    const partEntry = usual.length > 1 ? split(source, name, entry, usual.length) : entry;
    for (const [part, newName] of usual.entries()) {
      const other = origins.get(newName);
      if (other) {
        const both = `${quoted(other.name)} and ${quoted(name)}`;
        throw new WeightsError(`${source.path} has ${both}, which both mean ${quoted(newName)}. Remove one of them.`);
      }
      origins.set(newName, { name, entry: partEntry, part });
    }
  }
  return {
    path: source.path,
    metadata: source.metadata,
    entries: new Map([...origins].map(([name, { entry }]) => [name, entry])),
    read: async (name, range) => {
      const origin = origins.get(name);
      if (!origin) throw new WeightsError(`${source.path} has no tensor ${quoted(name)}.`);
      const size = byteLength(origin.entry);
      const { start, end } = range ?? { start: 0, end: size };
      return source.read(origin.name, { start: origin.part * size + start, end: origin.part * size + end });
    },
    place: (name) => {
      const origin = origins.get(name);
      const place = origin && source.place?.(origin.name);
      return place && { ...place, offset: place.offset + origin.part * byteLength(origin.entry) };
    },
    close: () => source.close(),
  };
}

function rename(name: string, rules: ReturnType<Dialect["rules"]>): readonly string[] {
  for (const [pattern, names] of rules) {
    if (pattern.test(name)) return [names].flat().map((usual) => name.replace(pattern, usual));
  }
  return [name];
}

function split(source: WeightSource, name: string, { dtype, shape }: TensorEntry, parts: number): TensorEntry {
  const [rows = 0, ...rest] = shape;
  if (rows % parts === 0) return { dtype, shape: [rows / parts, ...rest] };
  throw new WeightsError(
    `${source.path}: ${quoted(name)} of shape [${shape}] can't be split into ${parts} equal parts.`,
  );
}
