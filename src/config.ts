import * as z from "zod";
import { ConfigError, InputError } from "./errors.ts";

/** A field that is only supported at this value, which is also its default. */
export function only<T extends string | number | boolean>(value: T): z.ZodType<T | null | undefined> {
  return z.literal(value).nullish();
}

/** A field that is passed over, whatever it holds. */
export const ignored = z.unknown().optional();

/** A field that is only supported where it is null or absent. */
export const absent = z.null("it must be null or left out").optional();

/**
 * Reads the fields of a configuration file that was parsed. Those whose name starts with "_", and those that `passOver` holds, are
 * passed over unless the schema has them; every other field that the schema does not know is refused.
 * @param where the file's path, for messages
 * @throws ConfigError that names `where` and the first field that is missing, unknown, or has a value that is not supported
 */
export function readConfig<S extends z.ZodObject>(
  schema: S,
  json: unknown,
  where: string,
  { passOver = new Set<string>() as ReadonlySet<string> } = {},
): z.output<S> {
  const isRead = (field: string) =>
    Object.hasOwn(schema.shape, field) || !(field.startsWith("_") || passOver.has(field));
  const fields = Object.fromEntries(Object.entries(fieldsOf(json, where)).filter(([field]) => isRead(field)));
  const result = schema.strict().safeParse(fields);
  if (result.success) return result.data as z.output<S>;
  throw new ConfigError(`${where}: ${firstIssue(result.error, fields)}`);
}

/** @throws ConfigError where the file holds no object */
export function fieldsOf(json: unknown, where: string): Record<string, unknown> {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Record<string, unknown>;
  throw new ConfigError(`${where} must hold a JSON object, with a field for each setting.`);
}

/**
 * One line of a file of JSON lines.
 * @throws InputError where it is no JSON, or not what the schema wants; `where` names the file and the line
 */
export function readJsonLine<S extends z.ZodType>(schema: S, line: string, where: string): z.output<S> {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (error) {
    throw new InputError(`${where} is not JSON: ${(error as Error).message}`);
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  throw new InputError(`${where}: ${firstIssue(result.error, json)}`);
}

type Issue = z.core.$ZodIssue;

/** The first thing that is wrong with JSON that was read, as the end of a sentence that begins with the file's path. */
export function firstIssue(error: z.ZodError, json: unknown): string {
  return explain(error.issues[0]!, json);
}

function explain(issue: Issue, json: unknown): string {
  if (issue.code === "unrecognized_keys") {
    const path = [...issue.path, issue.keys[0]!];
    return `the field ${fieldName(path)} is not supported (its value is ${short(valueAt(json, path))}).`;
  }
  if (issue.code === "invalid_union" && issue.message === "Invalid input") {
    const unknown = issue.errors.flat().find(({ code }) => code === "unrecognized_keys");
    if (unknown) return explain({ ...unknown, path: [...issue.path, ...unknown.path] }, json);
    const branches = issue.errors.map((errors) => errors[0]!).filter((error) => error !== undefined);
    const deepest = branches.reduce((a, b) => (b.path.length > a.path.length ? b : a), branches[0]!);
    if (deepest.path.length > 0) return explain({ ...deepest, path: [...issue.path, ...deepest.path] }, json);
    return refuse(issue.path, json, [...new Set(branches.map(allowed))].join(", or "));
  }
  return refuse(issue.path, json, allowed(issue));
}

function refuse(path: readonly PropertyKey[], json: unknown, expected: string): string {
  const value = valueAt(json, path);
  if (path.length === 0) return "it must hold a JSON object, with a field for each setting.";
  if (value === undefined) return `the field ${fieldName(path)} is missing.`;
  return `the field ${fieldName(path)} is ${short(value)}, which is not supported: ${expected}.`;
}

function allowed(issue: Issue): string {
  if (issue.code !== "invalid_value") return issue.message.replace(/^(Invalid input|Too big|Too small): /, "");
  const values = issue.values.map((value) => (typeof value === "bigint" ? `${value}` : JSON.stringify(value)));
  return `it must be ${values.join(" or ")}`;
}

function fieldName(path: readonly PropertyKey[]): string {
  return `"${path.map(String).join(".")}"`;
}

function valueAt(json: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((value: unknown, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], json);
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
