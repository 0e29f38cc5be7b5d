import { createHash } from 'node:crypto';

/** How far, in levels of 255, a colour may be from sRGB: rounding of the numbers in profiles, and coarse tables of curves. */
const mostLevels = 0.75;

/** Profiles judged last: most files of a source have the same. */
const judged = new Map<string, boolean>();
const mostJudged = 64;

/**
 * Whether a colour profile describes sRGB, so that a conversion would change no pixel by as much as a level. It is judged
 * by its primaries and curves, as names and versions differ. False for anything that it does not understand.
 */
export function isSrgbProfile(profile: Uint8Array): boolean {
  const digest = createHash('sha256').update(profile).digest('base64');
  const known = judged.get(digest);
  if (known !== undefined) return known;
  if (judged.size >= mostJudged) judged.clear();
  const verdict = judge(Buffer.from(profile.buffer, profile.byteOffset, profile.length));
  judged.set(digest, verdict);
  return verdict;
}

/** RGB from 0 to 1, or XYZ under the light D50 of profiles. */
type Colour = readonly [number, number, number];
/** A row for each result. */
type Matrix = readonly [Colour, Colour, Colour];
/** From a stored value to light, both from 0 to 1. */
type Curve = (value: number) => number;

function judge(profile: Buffer): boolean {
  const tags = readTags(profile);
  if (tags === null) return false;
  const [red, green, blue] = ['rXYZ', 'gXYZ', 'bXYZ'].map((name) => readPrimary(tags.get(name)));
  const [ofRed, ofGreen, ofBlue] = ['rTRC', 'gTRC', 'bTRC'].map((name) => readCurve(tags.get(name)));
  if (!red || !green || !blue || !ofRed || !ofGreen || !ofBlue) return false;
  const toXyz: Matrix = [
    [red[0], green[0], blue[0]],
    [red[1], green[1], blue[1]],
    [red[2], green[2], blue[2]],
  ];
  return probes.every((probe) => {
    const xyz = transform(toXyz, [ofRed(probe[0]), ofGreen(probe[1]), ofBlue(probe[2])]);
    const shown = transform(xyzToSrgb, xyz).map(encodeSrgb);
    return shown.every((value, channel) => Math.abs(value - (probe[channel] ?? NaN)) * 255 <= mostLevels);
  });
}

/** Every grey, and every level of each primary alone, where wrong primaries show most. */
const probes = Array.from({ length: 256 }, (_, level) => level / 255).flatMap((value): Colour[] => [
  [value, value, value],
  [value, 0, 0],
  [0, value, 0],
  [0, 0, value],
]);

function transform(rows: Matrix, [x, y, z]: Colour): Colour {
  const [first, second, third] = rows;
  const row = (of: Colour): number => of[0] * x + of[1] * y + of[2] * z;
  return [row(first), row(second), row(third)];
}

/** The inverse of the primaries in the sRGB profile of the International Color Consortium. */
const xyzToSrgb: Matrix = [
  [3.13392, -1.61694, -0.49071],
  [-0.97845, 1.91588, 0.03339],
  [0.07202, -0.22903, 1.40572],
];

function encodeSrgb(light: number): number {
  const value = Math.min(1, Math.max(0, light));
  return value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055;
}

/** Offsets of the fields of a profile's header and of its table of tags. */
const field = { size: 0, space: 16, connection: 20, mark: 36, tagCount: 128, tags: 132 } as const;
const tagBytes = 12;
const mostTags = 100;
/** Tags that a conversion follows in place of primaries and curves. */
const tables = /^(A2B|B2A|D2B|B2D)[0-3]$/;

/** The data of each tag; null for a profile that is malformed, or not made of primaries and curves. */
function readTags(profile: Buffer): Map<string, Buffer> | null {
  const text = (at: number): string => profile.toString('latin1', at, at + 4);
  if (profile.length < field.tags || profile.readUInt32BE(field.size) !== profile.length) return null;
  if (text(field.mark) !== 'acsp' || text(field.space) !== 'RGB ' || text(field.connection) !== 'XYZ ') return null;
  const count = profile.readUInt32BE(field.tagCount);
  if (count > mostTags || field.tags + count * tagBytes > profile.length) return null;
  const tags = new Map<string, Buffer>();
  for (let at = field.tags; at < field.tags + count * tagBytes; at += tagBytes) {
    const from = profile.readUInt32BE(at + 4);
    tags.set(text(at), profile.subarray(from, from + profile.readUInt32BE(at + 8)));
  }
  return [...tags.keys()].some((name) => tables.test(name)) ? null : tags;
}

function readPrimary(tag: Buffer | undefined): Colour | null {
  if (tag === undefined || tag.length < 20 || tag.toString('latin1', 0, 4) !== 'XYZ ') return null;
  return [fixedAt(tag, 8), fixedAt(tag, 12), fixedAt(tag, 16)];
}

function readCurve(tag: Buffer | undefined): Curve | null {
  if (tag === undefined || tag.length < 12) return null;
  const type = tag.toString('latin1', 0, 4);
  if (type === 'curv') return readTable(tag);
  return type === 'para' ? readFormula(tag) : null;
}

/** A table of values between which lines are drawn. One of fewer than two is a mere power, which sRGB is not. */
function readTable(tag: Buffer): Curve | null {
  const count = tag.readUInt32BE(8);
  if (count < 2 || 12 + 2 * count > tag.length) return null;
  const valueAt = (index: number): number => tag.readUInt16BE(12 + 2 * index) / 65_535;
  return (value) => {
    const below = Math.min(Math.floor(value * (count - 1)), count - 2);
    const share = value * (count - 1) - below;
    return valueAt(below) * (1 - share) + valueAt(below + 1) * share;
  };
}

/** The one formula that has the form of sRGB: a power, and a line below a limit. */
const powerAndLine = 3;

function readFormula(tag: Buffer): Curve | null {
  if (tag.readUInt16BE(8) !== powerAndLine || tag.length < 32) return null;
  const [power, scale, shift, slope, limit] = [12, 16, 20, 24, 28].map((at) => fixedAt(tag, at));
  return (value) =>
    value >= (limit ?? NaN) ? ((scale ?? NaN) * value + (shift ?? NaN)) ** (power ?? NaN) : (slope ?? NaN) * value;
}

function fixedAt(tag: Buffer, at: number): number {
  return tag.readInt32BE(at) / 65_536;
}
