import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp, { type JpegOptions } from 'sharp';
import { readJpegFrame } from '../../../../model/images/jpeg-size.js';
import { drawSyntheticImage } from '../../../../model/images/synthetic.js';
import { photographsFolder, testOnPhotographs } from '../../../support/training-fixtures.js';

function jpeg(width: number, height: number, options: JpegOptions = {}, orientation = 1): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: '#40a010' } })
    .withMetadata({ orientation })
    .jpeg(options)
    .toBuffer();
}

describe('readJpegFrame', () => {
  it('reads what the decoder reads: baseline, progressive, with EXIF and turned', async () => {
    const images = [
      await jpeg(50, 40),
      await jpeg(41, 300, { progressive: true }),
      await jpeg(700, 20, { chromaSubsampling: '4:4:4', optimiseCoding: true }, 6),
      await drawSyntheticImage('grass', 3),
    ];
    for (const image of images) {
      const { width, height, orientation = 1 } = await sharp(image).metadata();
      expect(readJpegFrame(image)).toMatchObject({ width, height, orientation });
    }
  });

  it('leaves it to the decoder where it finds no frame header', async () => {
    const whole = await jpeg(50, 40);
    const frame = whole.indexOf(Buffer.of(0xff, 0xc0));
    expect(frame).toBeGreaterThan(0);
    expect(readJpegFrame(whole.subarray(0, frame + 8))).toBeNull();
    expect(readJpegFrame(Buffer.from('\xff\xd8\xff', 'latin1'))).toBeNull();
  });

  it('terminates on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const size = readJpegFrame(Uint8Array.of(0xff, 0xd8, ...bytes));
        return size === null || (size.width > 0 && size.height > 0);
      }),
    );
  });

  testOnPhotographs('reads what the decoder reads of every photograph', async () => {
    const files = await readdir(photographsFolder, { recursive: true });
    const photographs = files.filter((file) => /\.jpe?g$/i.test(file));
    expect(photographs.length).toBeGreaterThan(100);
    for (const file of photographs) {
      const bytes = await readFile(join(photographsFolder, file));
      const { width, height, format, orientation = 1 } = await sharp(bytes).metadata();
      if (format === 'jpeg') expect([file, readJpegFrame(bytes)]).toMatchObject([file, { width, height, orientation }]);
    }
  });
});
