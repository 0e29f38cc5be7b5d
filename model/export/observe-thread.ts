import { parentPort, workerData } from 'node:worker_threads';
import { observationSchema } from './observe-in-thread.js';
import { observeActivations } from './observe-activations.js';

/** Worker thread that observes one network, posts the result and ends. TensorFlow is never loaded here. */
const { operations, weights, images } = observationSchema.parse(workerData);
parentPort?.postMessage(await observeActivations(operations, weights, images));
