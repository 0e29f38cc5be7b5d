import sharp from 'sharp';
import { isSrgbProfile } from '../../../../model/images/srgb-profile.js';
import { plain } from './test-images.js';

/** A profile as sharp writes it: of one of the names it knows. */
async function profileOf(name: string): Promise<Buffer> {
  const { icc } = await sharp(await plain('#40a010').withIccProfile(name).png().toBuffer()).metadata();
  if (!icc) throw new Error(`no profile was written for ${name}`);
  return icc;
}

const tagAt = (profile: Buffer, name: string): number => profile.readUInt32BE(profile.indexOf(name, 128) + 4);

/** The profile with one number of a tag, at `at` behind its start, changed by `by` in units of 1/65536. */
function shifted(profile: Buffer, tag: string, at: number, by: number): Buffer {
  const changed = Buffer.from(profile);
  const place = tagAt(profile, tag) + at;
  changed.writeInt32BE(changed.readInt32BE(place) + by, place);
  return changed;
}

/** The profile with the curves of all channels in one table of `count` values, made by `curve`. */
function withTable(profile: Buffer, count: number, curve: (value: number) => number): Buffer {
  const table = Buffer.alloc(12 + 2 * count);
  table.write('curv', 0, 'latin1');
  table.writeUInt32BE(count, 8);
  for (let index = 0; index < count; index += 1) {
    table.writeUInt16BE(Math.round(65_535 * curve(index / (count - 1))), 12 + 2 * index);
  }
  const changed = Buffer.concat([profile, table]);
  changed.writeUInt32BE(changed.length, 0);
  for (const name of ['rTRC', 'gTRC', 'bTRC']) {
    const entry = changed.indexOf(name, 128);
    changed.writeUInt32BE(profile.length, entry + 4);
    changed.writeUInt32BE(table.length, entry + 8);
  }
  return changed;
}

const srgbCurve = (value: number): number => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);

describe('a colour profile', () => {
  let srgb: Buffer;
  beforeAll(async () => {
    srgb = await profileOf('srgb');
  });

  it('is sRGB by its primaries and its curve', () => {
    expect(isSrgbProfile(srgb)).toBe(true);
  });

  it('is sRGB with the last digits of its numbers rounded otherwise', () => {
    expect(isSrgbProfile(shifted(srgb, 'rXYZ', 8, 2))).toBe(true);
    expect(isSrgbProfile(shifted(srgb, 'rTRC', 12, 3))).toBe(true);
  });

  it('is sRGB with its curve as a table, as profiles of version 2 have it', () => {
    expect(isSrgbProfile(withTable(srgb, 1024, srgbCurve))).toBe(true);
  });

  it.each(['p3', 'cmyk'])('is not sRGB when it is %s', async (name) => {
    const profile = name === 'p3' ? await profileOf('p3') : withSpace(srgb, 'CMYK');
    expect(isSrgbProfile(profile)).toBe(false);
  });

  it('is not sRGB with another primary or another curve', () => {
    expect(isSrgbProfile(shifted(srgb, 'gXYZ', 8, 2000))).toBe(false);
    expect(isSrgbProfile(shifted(srgb, 'rTRC', 12, 2000))).toBe(false);
    expect(isSrgbProfile(withTable(srgb, 1024, (value) => value ** 2.2))).toBe(false);
  });

  it('is not sRGB with a table of colours, which decoders follow instead', () => {
    const changed = Buffer.from(srgb);
    changed.write('A2B0', changed.indexOf('cprt', 128), 'latin1');
    expect(isSrgbProfile(changed)).toBe(false);
  });

  it('is not sRGB when it is cut off, empty, or claims more than it has', () => {
    expect(isSrgbProfile(new Uint8Array())).toBe(false);
    for (let length = 0; length < srgb.length; length += 7) {
      const cut = Buffer.from(srgb.subarray(0, length));
      expect(isSrgbProfile(cut)).toBe(false);
      if (length >= 4) cut.writeUInt32BE(length, 0);
      expect(isSrgbProfile(cut)).toBe(false);
    }
    const endless = Buffer.from(srgb);
    endless.writeUInt32BE(0xffffffff, 128);
    expect(isSrgbProfile(endless)).toBe(false);
  });
});

function withSpace(profile: Buffer, space: string): Buffer {
  const changed = Buffer.from(profile);
  changed.write(space, 16, 'latin1');
  return changed;
}
