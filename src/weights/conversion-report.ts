import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { InputError } from "../errors.ts";
import { reading, readJsonFile, writeFileAtomically } from "../files.ts";
import { bytesOf, type Dtype } from "./source.ts";

/** The name of the report in the folder that it is about. While the work goes on it says how far it has come. */
export const reportName = "conversion.json";

const dtype = z.enum(Object.keys(bytesOf) as [Dtype, ...Dtype[]]);
const sourceFile = z.object({
  /** Inside the source folder. */
  path: z.string(),
  bytes: z.number(),
  /** Milliseconds since 1970. */
  modified: z.number(),
});
const tensor = z.object({ name: z.string(), shape: z.array(z.number()), dtype, sourceDtype: dtype });
const convertedFile = z.object({
  /** Inside the folder. */
  path: z.string(),
  bytes: z.number(),
  sha256: z.string(),
  /** The files that it was made from. */
  sources: z.array(sourceFile),
  /** Of weights, what they hold. */
  tensors: z.array(tensor).optional(),
});
const report = z.object({
  format: z.literal("tfjs-diffusion conversion"),
  version: z.literal(1),
  dtype: z.enum(["float32", "float16", "keep"]),
  /** The files that are done, each written and read again. */
  files: z.array(convertedFile),
  /** The files that are still to be made; none when the conversion is complete. */
  unfinished: z.array(z.string()),
  /** Files and folders of the source that have no place in the result. */
  leftOut: z.array(z.string()),
});

export type SourceFile = Readonly<z.infer<typeof sourceFile>>;
export type ConvertedFile = Readonly<z.infer<typeof convertedFile>>;

/** What a conversion did: every file with its size and sha256, and every tensor with its shape and dtypes. */
export type ConversionReport = Readonly<z.infer<typeof report>>;

/** The report in a folder. @throws InputError where it is none. */
export async function readReport(folder: string): Promise<ConversionReport> {
  const path = join(folder, reportName);
  const { data } = report.safeParse(await readJsonFile(path));
  if (data) return data;
  throw new InputError(`${path} is not the report of a conversion. Choose another folder, or remove this one.`);
}

export async function writeReport(folder: string, content: ConversionReport): Promise<void> {
  await writeFileAtomically(join(folder, reportName), `${JSON.stringify(content, undefined, 1)}\n`);
}

export async function sha256OfFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const hashing = async () => {
    for await (const piece of createReadStream(path, { highWaterMark: 2 ** 20, signal })) hash.update(piece);
  };
  await reading(path, hashing());
  return hash.digest("hex");
}
