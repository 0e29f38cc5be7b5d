import sharp from 'sharp';
import { inspectImage, type Inspection } from '../../../../model/images/inspect.js';
import { createImageThreads } from '../../../../activities/ingestion/image-threads.js';
import { drawSyntheticImage } from '../../../../model/images/synthetic.js';
import { limits } from '../../model/images/test-images.js';

/** Without the sentence, since the decoder has several for half an image. */
function outcomeOf(inspection: Inspection): unknown {
  return inspection.ok ? inspection.facts : inspection.reason;
}

describe('inspecting in threads', () => {
  const threads = createImageThreads(2);

  it('finds what inspecting here finds, whatever the image and the order of the answers', async () => {
    const white = { width: 2400, height: 2000, channels: 3, background: '#ffffff' } as const;
    const files = await Promise.all([
      sharp({ create: white }).jpeg().toBuffer(),
      sharp({ create: white }).png().toBuffer(),
      drawSyntheticImage('grass', 1),
      drawSyntheticImage('dandelion', 2).then((jpeg) => jpeg.subarray(0, 900)),
      Promise.resolve(Buffer.from('no image')),
    ]);
    const here = await Promise.all(files.map((bytes) => inspectImage(bytes, limits)));
    const there = await Promise.all(files.map((bytes) => threads.inspect(bytes, limits)));
    expect(there.map(outcomeOf)).toEqual(here.map(outcomeOf));
  });

  it('leaves the bytes where they are', async () => {
    const jpeg = await drawSyntheticImage('grass', 3);
    await threads.inspect(jpeg, limits);
    expect(jpeg.length).toBeGreaterThan(100);
  });
});
