import type { Command } from "commander";
import type { GenerationRecord } from "../image/index.ts";
import { bytes, table } from "./format.ts";
import { print, printJson } from "./print.ts";

export function addShow(program: Command): void {
  program
    .command("show")
    .description("Shows what is written in a picture's file: how it was made, and its credit.")
    .argument("<file>", "a PNG file")
    .option("--json", "print it as one JSON object")
    .addHelpText(
      "after",
      `
Examples:
  tfjs-diffusion show flowers.png
  tfjs-diffusion generate --model weights/tiny --from flowers.png --output again.png`,
    )
    .action(async (file: string, { json }: { json?: boolean }) => {
      const { decodePng, generationRecordFrom, latentFrom, maxPngBytes } = await import("../image/index.ts");
      const { readFileWithin } = await import("../files.ts");
      const { picture, texts } = decodePng(await readFileWithin(file, maxPngBytes), file);
      const { width, height } = picture;
      const isRecorded = texts.has("generation_config") || texts.has("parameters");
      const record = isRecorded ? generationRecordFrom(texts, file) : undefined;
      const latentBytes = latentFrom(texts, file)?.length;
      const others = Object.fromEntries([...texts].filter(([keyword]) => keyword !== "latent_tensor"));
      if (json)
        printJson({
          path: file,
          width,
          height,
          record: record ?? null,
          texts: others,
          latentBytes: latentBytes ?? null,
        });
      else {
        const lines = [`${file}: ${width} × ${height} pixels`];
        if (record) lines.push("", ...recordLines(record));
        for (const [keyword, text] of Object.entries(others))
          if (!known.includes(keyword)) lines.push("", `${keyword}: ${text}`);
        if (latentBytes !== undefined) lines.push("", `Its latents are in it (${bytes(latentBytes)}).`);
        if (!record) lines.push("", "It does not say how it was made.");
        print(lines.join("\n"));
      }
    });
}

/** Texts whose content the record has. */
const known = ["generation_config", "parameters"];

function recordLines(record: GenerationRecord & { unused?: readonly string[] }): string[] {
  const { unused = [], ...fields } = record;
  const rows = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`), String(value)]);
  const ignored = unused.length > 0 ? [`not understood: ${unused.join(", ")}`] : [];
  return [...table(rows, ["left", "left"]), ...ignored];
}
