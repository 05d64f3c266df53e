import { InputError } from "../errors.ts";
import { mitsuaJapaneseClip } from "../models/siglip-text-config.ts";
import { type Component, describeComponent, type Size, siglipText } from "./components.ts";
import type { Description } from "./describe.ts";

/** The models that make a picture together, under the names that their folders have. */
export interface System {
  readonly name: string;
  readonly components: Readonly<Record<string, Component>>;
  /** The size of picture that it was made for. */
  readonly size: Size;
}

/** Published systems, from their configurations alone. Nothing is allocated. */
export const presets: Readonly<Record<string, () => System>> = {
  "mitsua-likes": () => ({
    name: "mitsua-likes",
    size: { width: 768, height: 768 },
    components: { text_encoder: siglipText(mitsuaJapaneseClip) },
  }),
};

/** The layer trees of all models of a system, as the children of one node. */
export function describeSystem({ name, components, size }: System): Description {
  const children = Object.entries(components).map(([part, component]) => describeComponent(part, component, size));
  return {
    name,
    type: "System",
    parameters: children.reduce((sum, child) => sum + child.parameters, 0),
    outputShape: null,
    flops: children.reduce((sum, child) => sum + child.flops, 0),
    weights: {},
    children,
  };
}

/** A preset's name, or a model's folder. */
export async function openSystem(source: string): Promise<System> {
  const preset = Object.hasOwn(presets, source) ? presets[source] : undefined;
  if (preset) return preset();
  throw new InputError(`${source} is no preset`);
}
