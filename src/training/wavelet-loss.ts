import * as tf from "@tensorflow/tfjs-core";

// B batch, H W height and width, C channels.

/** One level of a wavelet transform: what is coarse, and the details across, down and in both directions. */
export type Bands = { coarse: tf.Tensor4D; details: readonly [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D] };

/**
 * Haar's wavelet transform (Haar 1910; Mallat 1989), orthonormal: x [B, H, W, C] → four bands [B, H / 2, W / 2, C]. H and W
 * are even.
 */
export function haar(x: tf.Tensor4D): Bands {
  const [top, bottom] = pairs(x, 1);
  const [above, below] = [sum(top, bottom), difference(top, bottom)];
  const [[a, b], [c, d]] = [pairs(above, 2), pairs(below, 2)];
  return { coarse: sum(a, b), details: [difference(a, b), sum(c, d), difference(c, d)] };
}

/**
 * How far two pictures differ in their details of every size: the mean over `levels` levels of the transform of the details'
 * mean absolute error, and that of what is coarse in the end. It takes a formula for what a network trained on ImageNet
 * does elsewhere (LPIPS): a picture that is blurred misses details, however little its pixels are off. After the
 * wavelet-domain losses of super-resolution (Huang et al. 2017; Korkmaz et al. 2024).
 *
 * The transform is linear, so that of the difference of two pictures is enough.
 * @param error one picture less the other, [B, H, W, C], whose sides are multiples of 2^levels
 */
export function waveletLoss(error: tf.Tensor4D, levels: number): tf.Scalar {
  return tf.tidy(() => {
    const terms: tf.Scalar[] = [];
    let x = error;
    for (let level = 0; level < levels; level++) {
      const { coarse, details } = haar(x);
      terms.push(...details.map(meanAbsolute));
      x = coarse;
    }
    return tf.div(tf.addN([...terms, meanAbsolute(x)]), 3 * levels + 1) as tf.Scalar;
  });
}

/** The even and the odd lines along an axis, 1 or 2. */
function pairs(x: tf.Tensor4D, axis: 1 | 2): [even: tf.Tensor4D, odd: tf.Tensor4D] {
  const [batch, height, width, channels] = x.shape;
  const halved: [number, number, number, number] =
    axis === 1 ? [batch, height / 2, width, channels] : [batch, height, width / 2, channels];
  // Two neighbours stand one after the other, each as a run of `run` numbers: no slice with a stride is needed.
  const run = axis === 1 ? width * channels : channels;
  const neighbours = tf.reshape(x, [-1, 2, run]);
  const line = (index: number) => tf.reshape(tf.slice(neighbours, [0, index, 0], [-1, 1, -1]), halved) as tf.Tensor4D;
  return [line(0), line(1)];
}

function sum(a: tf.Tensor4D, b: tf.Tensor4D): tf.Tensor4D {
  return tf.mul(tf.add(a, b), Math.SQRT1_2);
}

function difference(a: tf.Tensor4D, b: tf.Tensor4D): tf.Tensor4D {
  return tf.mul(tf.sub(a, b), Math.SQRT1_2);
}

function meanAbsolute(x: tf.Tensor): tf.Scalar {
  return tf.mean(tf.abs(x));
}
