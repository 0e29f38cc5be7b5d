import { hash, webcrypto } from 'node:crypto';

/** Up to here the sum takes less time than handing the bytes to another thread: a tenth of a millisecond or so. */
const smallBytes = 256 * 1024;

/** Sums bytes: large ones off the event loop, beside whatever else is done, as they may take longer than to answer. */
export async function sha256Of(bytes: Uint8Array): Promise<string> {
  if (bytes.length <= smallBytes) return hash('sha256', bytes);
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex');
}
