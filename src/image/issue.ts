import type * as z from "zod";

/** The first thing that is wrong with JSON that was read, as the end of a sentence that begins with the file's path. */
export function firstIssue(error: z.ZodError, json: unknown): string {
  const issue = error.issues[0]!;
  const path = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0]!] : issue.path;
  const value = path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key], json);
  if (path.length === 0) return "it must hold a JSON object, with a field for each setting.";
  const field = `the field "${path.map(String).join(".")}"`;
  if (value === undefined) return `${field} is missing.`;
  const shown = JSON.stringify(value);
  const short = shown.length > 60 ? `${shown.slice(0, 57)}…` : shown;
  if (issue.code === "unrecognized_keys") return `${field} is not supported (its value is ${short}).`;
  return `${field} is ${short}, which is not supported: ${issue.message.replace(/^(Invalid|Too)[^:]*: /, "")}.`;
}
