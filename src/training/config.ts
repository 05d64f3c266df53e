import * as z from "zod";
import { fieldsOf, readConfig } from "../config.ts";
import { ConfigError } from "../errors.ts";
import type { TaskKind } from "./kind.ts";

const count = z.int().positive("it must be a whole number over 0");
const rate = z.number().positive("it must be over 0");
const side = z.int().min(8, "a side must have at least 8 pixels").max(8192, "a side may have at most 8192 pixels");

const sizes = z.array(z.tuple([side, side])).min(1, "it must have at least one [width, height]");

/** What every stage has, whatever the task. */
const stage = z.object({
  /** Steps of the optimizer. */
  steps: count,
  /** Pictures of one loss. */
  batch: count,
  /** Batches whose gradients are averaged for a step: as one larger batch that would not fit into memory. */
  accumulate: count.default(1),
  learningRate: rate,
  /** Steps from the stage's first, over which the learning rate rises from 0. */
  warmUp: z.int().min(0).default(0),
  /** Whether it stays then, or falls to 0 by the stage's last step. */
  end: z.enum(["constant", "cosine"]).default("constant"),
  /** Pictures are scaled and cropped to that of these sizes whose shape is nearest. Width, height, in pixels. */
  sizes,
});

const folder = z.string().min(1, "it must be the path of a folder");
const seed = z.int().min(0).max(0xffffffff, "it must be under 4294967296");

const dataFolder = z.object({
  folder,
  /** Where a crop lies in a picture whose shape is not that of its bucket. */
  crop: z.enum(["center", "random"]).default("center"),
  /** What becomes of captions that have more tokens than a text encoder takes: they are refused, or their ends are cut off. */
  longCaptions: z.enum(["refuse", "cut"]).default("refuse"),
});
const dataScenes = z.object({
  scenes: z.strictObject({
    seed,
    count,
    /** As which the scenes count in turn, for the choice among a stage's sizes. */
    sizes: sizes.default([[64, 64]]),
    /** The share of them that show a mascot. */
    mascots: z.number().min(0).max(1).optional(),
  }),
});

const schema = z.object({
  task: z.string(),
  model: z.unknown(),
  data: z.unknown(),
  output: folder,
  seed: seed.default(0),
  stages: z.array(z.unknown()).min(1, "it must have at least one stage"),
  weightDecay: z.number().min(0).default(0.01),
  /** Decay of the mean of gradients, and of the mean of their squares. */
  betas: z.tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)]).default([0.9, 0.999]),
  /** Gradients longer than this, over all weights together, are shortened to it. */
  clipNorm: rate.default(1),
  ema: z
    .strictObject({ decay: z.number().min(0).lt(1, "it must be under 1") })
    .nullable()
    .default({ decay: 0.999 }),
  /** Steps from one checkpoint to the next. */
  checkpointEvery: count.default(500),
  /** Steps from one look at sample pictures to the next; 0 for none. */
  sampleEvery: z.int().min(0).default(500),
  /** Pictures that are kept from training, the last of the data: samples show how far it is with them. */
  samples: count.default(16),
});

/** A stage with the fields of its task beside those of all tasks. */
export type StageConfig = z.output<typeof stage> & { readonly options: unknown };

/** What the pictures are. */
export type DataConfig = z.output<typeof dataFolder> | z.output<typeof dataScenes>;

export interface TrainingConfig extends Omit<z.output<typeof schema>, "stages" | "model" | "data"> {
  readonly data: DataConfig;
  readonly model: Readonly<Record<string, string>>;
  readonly stages: readonly StageConfig[];
}

/**
 * The configuration of a training.
 * @param kinds what can be trained, by the name of the task
 * @param where the file's path, for messages
 * @throws ConfigError that names `where` and the field that is wrong or not known
 */
export function trainingConfigFrom(
  json: unknown,
  where: string,
  kinds: Readonly<Record<string, TaskKind>>,
): TrainingConfig {
  const { model, data, stages, ...config } = readConfig(schema, json, where);
  const kind = Object.hasOwn(kinds, config.task) ? kinds[config.task] : undefined;
  if (!kind) {
    const known = Object.keys(kinds).map((name) => JSON.stringify(name));
    throw new ConfigError(
      `${where}: the field "task" is ${JSON.stringify(config.task)}; it must be ${known.join(" or ")}.`,
    );
  }
  return {
    ...config,
    data: dataFrom(data ?? {}, `${where}, "data"`),
    model: readConfig(kind.model, model ?? {}, `${where}, "model"`) as Record<string, string>,
    stages: stages.map((one, i) => stageFrom(one, kind, `${where}, "stages.${i}"`)),
  };
}

function dataFrom(json: unknown, where: string): DataConfig {
  return "scenes" in fieldsOf(json, where) ? readConfig(dataScenes, json, where) : readConfig(dataFolder, json, where);
}

/** Only the fields that all tasks have are known to the trainer; the others are the task's to check. */
function stageFrom(json: unknown, kind: TaskKind, where: string): StageConfig {
  const fields = fieldsOf(json, where);
  const isOurs = (name: string) => Object.hasOwn(stage.shape, name);
  const [ours, theirs] = [true, false].map((wanted) =>
    Object.fromEntries(Object.entries(fields).filter(([name]) => isOurs(name) === wanted)),
  );
  return { ...readConfig(stage, ours, where), options: readConfig(kind.stage, theirs, where) };
}

/** How many steps all stages have together. */
export function totalSteps({ stages }: Pick<TrainingConfig, "stages">): number {
  return stages.reduce((sum, { steps }) => sum + steps, 0);
}

/** How many steps are done at the end of each stage. */
export function stageEnds({ stages }: Pick<TrainingConfig, "stages">): number[] {
  return stages.map((_, i) => totalSteps({ stages: stages.slice(0, i + 1) }));
}

/** The stage that step number `step`, from 0, belongs to, and how many of its steps come before. */
export function stageOf(
  { stages }: Pick<TrainingConfig, "stages">,
  step: number,
): { index: number; stage: StageConfig; before: number } {
  let before = step;
  for (const [index, stage] of stages.entries()) {
    if (before < stage.steps) return { index, stage, before };
    before -= stage.steps;
  }
  throw new RangeError(`There is no step ${step}.`);
}

/**
 * The fields in which two configurations differ for what is done until a step: those would not have given the same weights.
 * What lies ahead may be changed, as the number of steps; so may where and how often files are written.
 */
export function differences(earlier: TrainingConfig, now: TrainingConfig, step: number): string[] {
  const [a, b] = [earlier, now].map((config) => flat(past(config, step)));
  const names = new Set([...Object.keys(a!), ...Object.keys(b!)]);
  return [...names].filter((name) => a![name] !== b![name]);
}

/** What of a configuration was heard of in the first `step` steps. */
function past(config: TrainingConfig, step: number): object {
  const { output, checkpointEvery, sampleEvery, stages, ...rest } = config;
  let begin = 0;
  const begun = stages.flatMap(({ options, ...stage }) => {
    const done = Math.min(stage.steps, step - begin);
    begin += stage.steps;
    // A rate that falls is another from the beginning where it has longer to fall.
    return done > 0 ? [{ ...stage, ...(options as object), steps: stage.end === "cosine" ? stage.steps : done }] : [];
  });
  return { ...rest, stages: begun };
}

/** { a: [{ b: 1 }] } → { "a.0.b": "1" } */
function flat(value: unknown, path = ""): Record<string, string> {
  if (typeof value !== "object" || value === null) return { [path]: JSON.stringify(value) };
  return Object.assign({}, ...Object.entries(value).map(([name, part]) => flat(part, path ? `${path}.${name}` : name)));
}
