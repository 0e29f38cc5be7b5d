/** EXIF tag of the orientation, a SHORT from 1 to 8. */
const orientationTag = 0x0112;
const shortType = 3;
/** Most fields that are read of a directory; real files have a few dozen. */
const mostFields = 1_000;

/** The orientation in EXIF data, which is a TIFF structure; null without a valid one. */
export function orientationOf(tiff: Buffer): number | null {
  if (tiff.length < 8) return null;
  const order = tiff.toString('latin1', 0, 4);
  if (order !== 'II*\0' && order !== 'MM\0*') return null;
  const short = (at: number): number => (order === 'II*\0' ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at));
  const directory = order === 'II*\0' ? tiff.readUInt32LE(4) : tiff.readUInt32BE(4);
  if (directory + 2 > tiff.length) return null;
  const fields = Math.min(short(directory), mostFields);
  for (let index = 0; index < fields; index += 1) {
    const at = directory + 2 + 12 * index;
    if (at + 12 > tiff.length) return null;
    if (short(at) === orientationTag) return short(at + 2) === shortType ? inRange(short(at + 8)) : null;
  }
  return null;
}

/** A TIFF structure of 26 bytes with the orientation as its only field. */
export function orientationOnly(orientation: number): Buffer {
  const tiff = Buffer.alloc(26);
  tiff.write('MM\0*', 0, 'latin1');
  tiff.writeUInt32BE(8, 4);
  tiff.writeUInt16BE(1, 8);
  tiff.writeUInt16BE(orientationTag, 10);
  tiff.writeUInt16BE(shortType, 12);
  tiff.writeUInt32BE(1, 14);
  tiff.writeUInt16BE(orientation, 18);
  return tiff;
}

function inRange(orientation: number): number | null {
  return orientation >= 1 && orientation <= 8 ? orientation : null;
}
