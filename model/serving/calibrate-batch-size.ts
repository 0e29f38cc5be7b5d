import { PerennialError } from '../../contracts/errors.js';
import { pixelBytes } from '../images/decode.js';
import type { JobOutcome } from './messages.js';
import type { Thread } from './thread.js';

const batchSizes = [1, 2, 4];
const rounds = 4;
/** A larger batch makes its images wait for each other, so it must save at least this share of the time. */
const worthwhileGain = 0.1;

/**
 * The batch size with the highest throughput. The fastest run of each size counts, and sizes alternate, because other
 * load on the machine only makes runs slower. A thread that fails is closed.
 * @throws PerennialError bundle_invalid when the graph does not run
 */
export async function calibrateBatchSize(thread: Thread): Promise<number> {
  try {
    return fastestSize(await timeSizes(thread));
  } catch (error) {
    await thread.close();
    throw error;
  }
}

/** Time per image, by batch size. */
async function timeSizes(thread: Thread): Promise<Map<number, number>> {
  const fastest = new Map<number, number>();
  for (let round = 0; round < rounds; round += 1) {
    for (const count of batchSizes) {
      const { inferMs } = await runPixels(thread, new Uint8Array(count * pixelBytes), count);
      fastest.set(count, Math.min(inferMs / count, fastest.get(count) ?? Infinity));
    }
  }
  return fastest;
}

/** The smallest batch size that no larger one beats by the worthwhile gain, given the time per image of each. */
export function fastestSize(imageMsOf: ReadonlyMap<number, number>): number {
  let [best, bestMs] = [1, Infinity];
  for (const [count, imageMs] of imageMsOf) {
    if (imageMs < (1 - worthwhileGain) * bestMs) [best, bestMs] = [count, imageMs];
  }
  return best;
}

/**
 * Runs `count` images of 224×224 RGB pixels in one batch on a thread.
 * @throws PerennialError bundle_invalid when the thread fails
 */
export async function runPixels(thread: Thread, bytes: Uint8Array, count: number): Promise<Answer> {
  const outcome = await thread.run([{ kind: 'pixels', bytes, count, batchSize: count }]);
  if (outcome.type === 'died')
    throw new PerennialError('bundle_invalid', `The inference thread ended (${outcome.message}).`);
  const [answer] = outcome.outcomes;
  if (answer?.type === 'answer') return answer;
  throw new PerennialError('bundle_invalid', answer?.message ?? 'The inference thread returned no answer.');
}

type Answer = Extract<JobOutcome, { type: 'answer' }>;
