import { readFileSync } from "node:fs";

/** This package's version. `package.json` is as far from the sources as from what is built of them. */
export const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};
