import * as tf from "@tensorflow/tfjs-core";
import { operator } from "../build.ts";
import type { Kernels } from "../kernel.ts";

export const einsum: Kernels = {
  /** ONNX has the same language. tfjs's own reader finds what is wrong with an equation. */
  Einsum: ({ list, attrs }) => {
    const { allDims, summedDims, idDims } = tf.backend_util.decodeEinsumEquation(attrs.equation, list.length);
    const tensors = list.map(({ shape }) => ({ shape }) as tf.Tensor);
    tf.backend_util.checkEinsumDimSizes(allDims.length, idDims, tensors);
    const lengths = allDims.map((_, dim) => {
      const input = idDims.findIndex((dims) => dims.includes(dim));
      return list[input]!.shape[idDims[input]!.indexOf(dim)]!;
    });
    const shape = lengths.filter((_, dim) => !summedDims.includes(dim));
    return operator("Einsum", list, { type: list[0]!.type, shape }, { equation: attrs.equation.replace(/\s/g, "") });
  },
};
