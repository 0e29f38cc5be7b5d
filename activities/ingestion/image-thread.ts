import { z } from 'zod';
import { decodingWork } from '../../model/images/decoding-work.js';
import { setThreadsPerImage } from '../../model/images/decode.js';
import { inspectImage } from '../../model/images/inspect.js';
import { oneByOne } from '../../model/one-by-one.js';
import { answerQuestions } from '../../model/worker-thread.js';
import { readBelow } from './read-file.js';

/** Worker thread of an ingestion: reads files and inspects images. */
const questionSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('read'), root: z.string(), path: z.string(), maxBytes: z.number() }),
  z.object({
    kind: z.literal('inspect'),
    bytes: z.instanceof(Uint8Array),
    limits: z.object({ maxPixels: z.number(), maxBytes: z.number(), minSide: z.number() }),
  }),
]);
export type ImageQuestion = z.infer<typeof questionSchema>;

/** Images with more pixels are decoded one after the other, because of their memory. */
const smallPixels = 4_000_000;
const amongLarge = oneByOne();

setThreadsPerImage(1);
answerQuestions(questionSchema, async (question) => {
  if (question.kind === 'read') return readBelow(question);
  const { bytes, limits } = question;
  const { width, height } = decodingWork(bytes) ?? { width: 0, height: 0 };
  const inspect = (): ReturnType<typeof inspectImage> => inspectImage(bytes, limits);
  return width * height <= smallPixels ? inspect() : amongLarge(inspect);
});
