import { parentPort, workerData } from 'node:worker_threads';
import { observeActivations } from './observe-activations.js';
import { encodeInt8Layers } from './onnx-int8.js';
import { layersSchema } from './quantize-in-thread.js';

/** Worker thread that quantizes the layers of one network, posts them and ends. TensorFlow is never loaded here. */
const { operations, weights, images } = layersSchema.parse(workerData);
const observed = await observeActivations(operations, weights, images);
parentPort?.postMessage(Uint8Array.from(encodeInt8Layers(operations, weights, observed)));
