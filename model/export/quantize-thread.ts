import { answerQuestions } from '../worker-thread.js';
import { observeActivations } from './observe-activations.js';
import { encodeInt8Layers } from './onnx-int8.js';
import { layersSchema } from './quantize-in-thread.js';

/** Worker thread that quantizes the layers of a network. TensorFlow is never loaded here. */
answerQuestions(layersSchema, async ({ operations, weights, images }) => {
  const observed = await observeActivations(operations, weights, images);
  return Uint8Array.from(encodeInt8Layers(operations, weights, observed));
});
