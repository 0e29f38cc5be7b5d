import { inputSize } from '../../contracts/training/training.js';
import { loadBackbone } from '../../model/architectures/backbone.js';
import { createTensors, disposeTensors } from '../../model/architectures/network-tensors.js';
import { runNetwork, scaleImages } from '../../model/architectures/run-network.js';
import { tf } from '../../model/tensorflow.js';

/** Features that TF.js gives the backbone for `count` images of RGB 0–255 pixels, image after image. */
export async function tfjsFeatures(pixels: Uint8Array, count: number): Promise<Float32Array> {
  const { operations, weights } = await loadBackbone();
  const tensors = createTensors(weights);
  const features = tf.tidy(() => {
    const images = tf.tensor4d(pixels, [count, inputSize, inputSize, 3], 'int32').toFloat();
    return runNetwork(operations, tensors, scaleImages(images));
  });
  const values = Float32Array.from(features.dataSync());
  features.dispose();
  disposeTensors(tensors);
  return values;
}
