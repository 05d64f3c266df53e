import { rm } from "node:fs/promises";
import { foundFolder } from "./accuracy/found.js";

/** What earlier runs found says nothing about this one. */
export default async function setup(): Promise<void> {
  await rm(foundFolder, { recursive: true, force: true });
}
