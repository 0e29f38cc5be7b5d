import { parentPort } from 'node:worker_threads';
import { errorCodeOf, messageOf, PerennialError } from '../../../contracts/errors.js';
import { parseBoundedJson } from '../../http/body/json-bounds.js';
import { readInvocation } from '../invocations/read-invocation.js';
import { readQuestion } from '../v2/question.js';
import { parseJobSchema, type ParseJob, type ParseReply } from './messages.js';

/** The parser thread: parses one body at a time. */
let last = Promise.resolve();

parentPort?.on('message', (message: unknown) => {
  last = last.then(() => answer(message));
});

async function answer(message: unknown): Promise<void> {
  try {
    const { value, pixels } = await parse(parseJobSchema.parse(message));
    reply({ type: 'parsed', value }, pixels === null ? [] : [pixels]);
  } catch (error) {
    const details = error instanceof PerennialError ? error.details : {};
    reply({ type: 'refused', code: errorCodeOf(error), message: messageOf(error), details });
  }
}

/** The result, and the memory of its pixels, which moves with it instead of being copied. */
async function parse(job: ParseJob): Promise<{ value: unknown; pixels: ArrayBuffer | null }> {
  const body = Buffer.from(job.body.buffer, job.body.byteOffset, job.body.byteLength);
  switch (job.kind) {
    case 'invocation': {
      const value = await readInvocation(body);
      return { value, pixels: memoryOf(value.pixels) };
    }
    case 'question': {
      const value = readQuestion(body, undefined);
      return { value, pixels: value.input.kind === 'pixels' ? memoryOf(value.input.pixels) : null };
    }
    case 'json':
      return { value: parseBoundedJson(body, job.bounds), pixels: null };
  }
}

function memoryOf({ buffer }: Uint8Array): ArrayBuffer | null {
  return buffer instanceof ArrayBuffer ? buffer : null;
}

function reply(message: ParseReply, transferred: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transferred);
}
