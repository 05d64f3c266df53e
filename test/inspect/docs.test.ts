import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { root } from "../helpers/cli.ts";

it("docs/observe.md shows the recorder as it is", async () => {
  const docs = await readFile(join(root, "docs/observe.md"), "utf8");
  const recorder = await readFile(join(root, "test/reference/recorder.py"), "utf8");
  expect(docs).toContain(`\`\`\`python\n${recorder}\`\`\`\n`);
});
