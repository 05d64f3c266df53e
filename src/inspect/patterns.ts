/**
 * Whether a layer's path fits one of some patterns, in which `*` stands for any characters, dots among them, and `?` for one,
 * as in Python's fnmatch.
 */
export function matcher(patterns: readonly string[]): (path: string) => boolean {
  const expressions = patterns.map((pattern) => {
    const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&");
    return new RegExp(`^${escaped.replace(/\*+/g, ".*").replaceAll("?", ".")}$`, "s");
  });
  return (path) => expressions.some((expression) => expression.test(path));
}
