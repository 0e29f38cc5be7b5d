import { randomFillSync } from 'node:crypto';

const mostCounted = 0xfff;

let latestMs = 0;
let counter = 0;

/** Random bytes for many ids: each call for some costs ten times what an id does. */
const random = Buffer.alloc(8 * 512);
let randomAt = random.length;

/** Fills the last eight bytes of an id. */
function randomize(id: Buffer): void {
  if (randomAt === random.length) {
    randomFillSync(random);
    randomAt = 0;
  }
  random.copy(id, 8, randomAt, randomAt + 8);
  randomAt += 8;
}

/**
 * A UUIDv7 (RFC 9562). Ids are ordered by time across processes to the millisecond, and strictly within this process: the
 * twelve bits after the time count the ids of the same millisecond.
 */
export function uuid7(nowMs = Date.now()): string {
  if (nowMs > latestMs) {
    latestMs = nowMs;
    counter = 0;
  } else if (++counter > mostCounted) {
    // After 4096 ids in one millisecond, or when the clock was set back: use the next millisecond early.
    latestMs += 1;
    counter = 0;
  }
  const bytes = Buffer.allocUnsafe(16);
  randomize(bytes);
  bytes.writeUIntBE(latestMs, 0, 6);
  bytes.writeUInt16BE(0x7000 | counter, 6);
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** The creation time of a UUIDv7; null for any other text. */
export function timeOfUuid7(id: string): Date | null {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i.test(id)) return null;
  return new Date(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16));
}
