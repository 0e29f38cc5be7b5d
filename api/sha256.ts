import { webcrypto } from 'node:crypto';

/** Sums bytes off the event loop, beside whatever else is done: a large image takes longer to sum than to answer. */
export async function sha256Of(bytes: Uint8Array): Promise<string> {
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex');
}
