import type * as z from "zod";
import { ConfigError } from "../errors.ts";

/**
 * Reads the fields of a parsed `scheduler_config.json`, but for those that start with "_" and those of `passedOver`.
 * @throws ConfigError that names the file and the first field that is unknown or not supported
 */
export function readConfig<S extends z.ZodObject>(
  schema: S,
  passedOver: readonly string[],
  json: unknown,
  where: string,
): z.output<S> {
  const fields = Object.entries(fieldsOf(json, where));
  const read = Object.fromEntries(fields.filter(([name]) => !name.startsWith("_") && !passedOver.includes(name)));
  const result = schema.safeParse(read);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  if (issue.code === "unrecognized_keys") {
    throw new ConfigError(`${where}: the field "${issue.keys[0]}" is not supported by this scheduler.`);
  }
  const path = issue.path.map(String);
  const value = JSON.stringify(path.reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], read));
  throw new ConfigError(`${where}: the field "${path.join(".")}" is ${value?.slice(0, 60)}. ${issue.message}.`);
}

/** @throws ConfigError where the file holds no object */
export function fieldsOf(json: unknown, where: string): Record<string, unknown> {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Record<string, unknown>;
  throw new ConfigError(`${where} must hold a JSON object, with a field for each setting.`);
}
