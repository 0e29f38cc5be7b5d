import './restore-node-util.js';
import tf from '@tensorflow/tfjs-node';

/**
 * The only import of TensorFlow: the import above must come first, or TF.js fails on Node 23 and newer.
 * `TF_CPP_MIN_LOG_LEVEL` silences the start-up lines of its native library; the parent process sets it.
 */
export { tf };
