import { PerennialError } from '../../contracts/errors.js';
import { pixelBytes } from '../images/decode.js';
import type { JobOutcome } from './messages.js';
import type { Thread } from './thread.js';

const batchSizes = [1, 2, 4];
const rounds = 4;
/** A larger batch makes its images wait for each other, so it must save at least this share of the time. */
const worthwhileGain = 0.1;

/**
 * How many images a graph should be given at once to get through the most of them. The fastest run of each size counts,
 * and sizes take turns: what else the machine does makes runs slower, never faster. A thread that fails is ended.
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

/** The time of an image in batches of each size. */
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

/** The smallest number that larger ones do not beat by far, by the time of an image in batches of each. */
export function fastestSize(imageMsOf: ReadonlyMap<number, number>): number {
  let [best, bestMs] = [1, Infinity];
  for (const [count, imageMs] of imageMsOf) {
    if (imageMs < (1 - worthwhileGain) * bestMs) [best, bestMs] = [count, imageMs];
  }
  return best;
}

/**
 * Has a thread look at `count` images of 224×224 RGB pixels at once.
 * @throws PerennialError bundle_invalid when it cannot
 */
export async function runPixels(thread: Thread, bytes: Uint8Array, count: number): Promise<Answer> {
  const outcome = await thread.run([{ kind: 'pixels', bytes, count, batchSize: count }]);
  if (outcome.type === 'died') throw new PerennialError('bundle_invalid', `The thread ended (${outcome.message}).`);
  const [answer] = outcome.outcomes;
  if (answer?.type === 'answer') return answer;
  throw new PerennialError('bundle_invalid', answer?.message ?? 'There was no answer.');
}

type Answer = Extract<JobOutcome, { type: 'answer' }>;
