import { inputSize } from '../../contracts/training/training.js';
import { decodeRaw, type DecodeOrder } from './raw-pixels.js';

/**
 * Preprocessing of bundles without a version: the decoder's own resampling, whose result depends on format and
 * orientation. Such bundles were trained and validated with these pixels, so they are served with them.
 */
export function decodeVersion1(bytes: Uint8Array, order: DecodeOrder): Promise<Uint8Array> {
  return decodeRaw(bytes, order, (image) => image.autoOrient().resize(inputSize, inputSize, { fit: 'fill' }));
}
