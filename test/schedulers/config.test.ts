import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ConfigError, InputError } from "../../src/errors.ts";
import { DdimScheduler, ddimConfigFrom, openScheduler, schedulerNames } from "../../src/schedulers/index.ts";
import { expectedPath } from "../helpers/expected.ts";

const where = "model/scheduler/scheduler_config.json";
const runs = JSON.parse(readFileSync(expectedPath("ddim/runs.json"), "utf8"));
/** As diffusers writes it. */
const written = runs.find((run: { name: string }) => run.name === "zero_snr_40").config;

describe("ddimConfigFrom", () => {
  test("reads every field", () => {
    expect(ddimConfigFrom(written, where)).toEqual({
      trainTimesteps: 1000,
      betaStart: 0.00085,
      betaEnd: 0.012,
      betaSchedule: "scaled_linear",
      trainedBetas: undefined,
      rescaleBetasZeroSnr: true,
      spacing: "trailing",
      stepsOffset: 0,
      predictionType: "v_prediction",
      clipSampleRange: undefined,
      thresholding: undefined,
      setAlphaToOne: true,
    });
  });

  test("what is absent is as in diffusers", () => {
    const defaults = runs.find((run: { name: string }) => run.name === "class_defaults").config;
    expect(ddimConfigFrom({}, where)).toEqual(ddimConfigFrom(defaults, where));
  });

  test("settings of other schedulers are passed over", () => {
    expect(ddimConfigFrom({ ...written, skip_prk_steps: true, _private: 1 }, where)).toEqual(
      ddimConfigFrom(written, where),
    );
  });

  test.each([
    ["beta_schedule", "exp"],
    ["prediction_type", "flow"],
    ["timestep_spacing", "log"],
    ["num_train_timesteps", 1e9],
    ["num_train_timesteps", 0.5],
    ["beta_start", -1],
    ["beta_end", "0.02"],
    ["clip_sample", 1],
    ["steps_offset", -1],
    ["trained_betas", [0.1, 0.2]],
    ["trained_betas", { length: 1e9 }],
    ["invented", 1],
  ])("%s: %j is refused by name", (field, value) => {
    expect(() => ddimConfigFrom({ ...written, [field]: value }, where)).toThrow(ConfigError);
    expect(() => ddimConfigFrom({ ...written, [field]: value }, where)).toThrow(`${where}: the field "${field}"`);
  });

  test("one wrong number of many is named by its place", () => {
    const betas = { num_train_timesteps: 3, trained_betas: [0.1, -0.2, 0.3] };
    expect(() => ddimConfigFrom(betas, where)).toThrow('the field "trained_betas.1" is -0.2');
  });

  test("betas of which no step could be computed are refused", () => {
    expect(() => ddimConfigFrom({ beta_start: 1e-9, beta_end: 1e-9 }, where)).toThrow("at timestep 0");
    expect(() => ddimConfigFrom({ beta_end: 0.9 }, where)).toThrow('"beta_schedule", "beta_start" and "beta_end"');
    expect(() => ddimConfigFrom({ num_train_timesteps: 3, trained_betas: [0.1, 1, 0.1] }, where)).toThrow(
      "at timestep 2",
    );
    expect(ddimConfigFrom({ num_train_timesteps: 3, trained_betas: [0.1, 0.1, 1] }, where).trainedBetas).toHaveLength(
      3,
    );
  });

  test.each([null, [], "ddim", 1, undefined])("%j is no configuration", (json) => {
    expect(() => ddimConfigFrom(json, where)).toThrow(`${where} must hold a JSON object`);
  });
});

describe("openScheduler", () => {
  test("takes the file's class", () => {
    expect(openScheduler(written, where)).toBeInstanceOf(DdimScheduler);
  });

  test("takes the scheduler named instead, with the file's settings", () => {
    const pndm = { ...written, _class_name: "PNDMScheduler", skip_prk_steps: true };
    expect(openScheduler(pndm, where, "ddim")).toEqual(openScheduler(written, where));
    expect(schedulerNames).toEqual(["ddim"]);
  });

  test.each(["PNDMScheduler", undefined, ["DDIMScheduler"], "toString"])("the class %j is refused", (className) => {
    const open = () => openScheduler({ ...written, _class_name: className }, where);
    expect(open).toThrow(ConfigError);
    expect(open).toThrow("Supported are DDIMScheduler (ddim)");
  });

  test("a name that is none is refused", () => {
    expect(() => openScheduler(written, where, "euler")).toThrow(InputError);
    expect(() => openScheduler(written, where, "euler")).toThrow('no scheduler named "euler": there are ddim');
  });
});
