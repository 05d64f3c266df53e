import type { Kernels } from "../kernel.ts";
import { comparisons } from "./comparison.ts";
import { convolution } from "./convolution.ts";
import { convolutionGradients } from "./convolution-gradients.ts";
import { creation } from "./creation.ts";
import { dilation } from "./dilation.ts";
import { einsum } from "./einsum.ts";
import { elementwise } from "./elementwise.ts";
import { fused } from "./fused.ts";
import { image } from "./image.ts";
import { indexing } from "./indexing.ts";
import { matmul } from "./matmul.ts";
import { normalization } from "./normalization.ts";
import { optimizer } from "./optimizer.ts";
import { pooling } from "./pooling.ts";
import { random } from "./random.ts";
import { reductions } from "./reduction.ts";
import { resize } from "./resize.ts";
import { scans } from "./scan.ts";
import { shapes } from "./shape.ts";
import { softmax } from "./softmax.ts";

/** All kernels, by tfjs's names. */
export const kernels: Kernels = {
  ...elementwise,
  ...comparisons,
  ...reductions,
  ...scans,
  ...shapes,
  ...indexing,
  ...einsum,
  ...image,
  ...creation,
  ...random,
  ...convolution,
  ...convolutionGradients,
  ...dilation,
  ...matmul,
  ...normalization,
  ...pooling,
  ...resize,
  ...softmax,
  ...fused,
  ...optimizer,
};
