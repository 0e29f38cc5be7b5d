import { orientationOf, orientationOnly } from './orientation.js';

const startOfImage = 0xd8;
const endOfImage = 0xd9;
const startOfScan = 0xda;
const quantization = 0xdb;
const restartInterval = 0xdd;
const jfif = 0xe0;
/** Bytes of a JFIF segment without a thumbnail. */
const jfifBytes = 18;
const exifHead = 'Exif\0\0';

/** Application segments that a decoder needs: JFIF's density, the colour profile, Adobe's colour transform. */
const neededApplications: readonly { marker: number; head: string }[] = [
  { marker: jfif, head: 'JFIF\0' },
  { marker: 0xe2, head: 'ICC_PROFILE\0' },
  { marker: 0xee, head: 'Adobe' },
];

interface Segment {
  marker: number;
  /** From the marker's 0xff to the end of the segment. */
  from: number;
  to: number;
}

/**
 * A JPEG with only the segments that pixels depend on. The orientation is kept as the one field of new EXIF data. Null
 * when the segments are malformed.
 */
export function stripJpeg(bytes: Buffer): Buffer | null {
  const kept: Buffer[] = [bytes.subarray(0, 2)];
  const applications: Buffer[] = [];
  let orientation: number | null = null;
  for (let at = 2; ;) {
    const segment = segmentAt(bytes, at);
    if (!segment) return null;
    const { marker, from, to } = segment;
    if (marker === endOfImage) {
      kept.push(bytes.subarray(from, from + 2));
      break;
    }
    orientation ??= orientationIn(bytes, segment);
    const end = marker === startOfScan ? endOfScan(bytes, to) : to;
    if (end === null) return null;
    if (isNeeded(bytes, segment)) {
      const part = bytes.subarray(from, end);
      if (isApplication(marker)) applications.push(marker === jfif ? withoutThumbnail(part) : part);
      else kept.push(part);
    }
    at = end;
  }
  const [head, ...rest] = kept;
  const turned = orientation === null || orientation === 1 ? [] : [exifSegment(orientation)];
  return Buffer.concat([...(head ? [head] : []), ...inOrder(applications, turned), ...rest]);
}

/** JFIF comes first, as its specification demands; then EXIF, then the rest. */
function inOrder(applications: readonly Buffer[], exif: readonly Buffer[]): Buffer[] {
  const isFirst = (segment: Buffer): boolean => segment[1] === jfif;
  return [...applications.filter(isFirst), ...exif, ...applications.filter((segment) => !isFirst(segment))];
}

function withoutThumbnail(segment: Buffer): Buffer {
  if (segment.length <= jfifBytes) return segment;
  const plain = Buffer.from(segment.subarray(0, jfifBytes));
  plain.writeUInt16BE(jfifBytes - 2, 2);
  plain.fill(0, jfifBytes - 2);
  return plain;
}

function segmentAt(bytes: Buffer, at: number): Segment | null {
  if (bytes[at] !== 0xff) return null;
  // Any number of fill bytes may precede a marker.
  let from = at;
  while (bytes[from + 1] === 0xff) from += 1;
  const marker = bytes[from + 1];
  if (marker === undefined || marker === 0 || marker === startOfImage) return null;
  if (isAlone(marker)) return { marker, from, to: from + 2 };
  if (from + 4 > bytes.length) return null;
  const to = from + 2 + bytes.readUInt16BE(from + 2);
  return to < from + 4 || to > bytes.length ? null : { marker, from, to };
}

/** Markers without a length: the end of the image, restarts, and TEM. */
function isAlone(marker: number): boolean {
  return marker === endOfImage || isRestart(marker) || marker === 0x01;
}

function isRestart(marker: number | undefined): boolean {
  return marker !== undefined && marker >= 0xd0 && marker <= 0xd7;
}

/** End of the compressed data that starts at `from`: the next marker that is neither a stuffed zero nor a restart. */
function endOfScan(bytes: Buffer, from: number): number | null {
  for (let at = bytes.indexOf(0xff, from); at !== -1; at = bytes.indexOf(0xff, at)) {
    const next = bytes[at + 1];
    if (next === undefined) return null;
    if (next === 0xff) at += 1;
    else if (next === 0 || isRestart(next)) at += 2;
    else return at;
  }
  return null;
}

function isApplication(marker: number): boolean {
  return marker >= 0xe0 && marker <= 0xef;
}

/** Frames, tables, scans and restarts. Decoders skip other segments unread, so those could hold anything. */
function isImageData(marker: number): boolean {
  const isFrameOrCode = marker >= 0xc0 && marker <= 0xcf;
  return isFrameOrCode || isRestart(marker) || [startOfScan, quantization, restartInterval].includes(marker);
}

function isNeeded(bytes: Buffer, { marker, from }: Segment): boolean {
  if (!isApplication(marker)) return isImageData(marker);
  return neededApplications.some((known) => known.marker === marker && startsWith(bytes, from + 4, known.head));
}

function orientationIn(bytes: Buffer, { marker, from, to }: Segment): number | null {
  if (marker !== 0xe1 || !startsWith(bytes, from + 4, exifHead)) return null;
  return orientationOf(bytes.subarray(from + 4 + exifHead.length, to));
}

function exifSegment(orientation: number): Buffer {
  const data = Buffer.concat([Buffer.from(exifHead, 'latin1'), orientationOnly(orientation)]);
  const head = Buffer.from([0xff, 0xe1, 0, 0]);
  head.writeUInt16BE(data.length + 2, 2);
  return Buffer.concat([head, data]);
}

function startsWith(bytes: Buffer, at: number, text: string): boolean {
  return bytes.toString('latin1', at, at + text.length) === text;
}
