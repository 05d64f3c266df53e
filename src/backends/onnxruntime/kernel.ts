import type { Node } from "./graph.ts";

/** A kernel of tfjs: which operators stand for it. */
export type Kernel = (call: KernelCall) => Node | Node[];

export interface KernelCall {
  /** The one input, or the first. */
  x: Node;
  /** By tfjs's names. */
  inputs: Readonly<Record<string, Node>>;
  /** In their order: of kernels that take a list. */
  list: readonly Node[];
  // biome-ignore lint/suspicious/noExplicitAny: what tfjs passes differs from kernel to kernel
  attrs: any;
}

/** Kernels by tfjs's names. */
export type Kernels = Readonly<Record<string, Kernel>>;
