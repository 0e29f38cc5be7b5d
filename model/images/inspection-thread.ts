import { z } from 'zod';
import { oneByOne } from '../one-by-one.js';
import { answerQuestions } from '../worker-thread.js';
import { decodingWork } from './decoding-work.js';
import { setThreadsPerImage } from './decode.js';
import { inspectImage } from './inspect.js';

/** Worker thread that inspects images. */
const questionSchema = z.object({
  bytes: z.instanceof(Uint8Array),
  limits: z.object({ maxPixels: z.number(), maxBytes: z.number(), minSide: z.number() }),
});

/** Images with more pixels are decoded one after the other, because of their memory. */
const smallPixels = 4_000_000;
const amongLarge = oneByOne();

setThreadsPerImage(1);
answerQuestions(questionSchema, ({ bytes, limits }) => {
  const { width, height } = decodingWork(bytes) ?? { width: 0, height: 0 };
  const inspect = (): ReturnType<typeof inspectImage> => inspectImage(bytes, limits);
  return width * height <= smallPixels ? inspect() : amongLarge(inspect);
});
