import type { Variant } from '../../contracts/registry/bundle.js';
import { messageOf, PerennialError } from '../../contracts/errors.js';
import { pixelBytes } from '../images/decode.js';
import type { JobOutcome } from './messages.js';
import { checkProbe } from './probe.js';
import type { ServedBundle } from './read-bundle.js';
import type { Thread } from './thread.js';

/** A precision variant that has passed its probe, and its thread. */
export interface Candidate {
  variant: Variant;
  thread: Thread;
}

export interface VariantTrial {
  bundle: Pick<ServedBundle, 'manifest' | 'graphs'>;
  folder: string;
  /** `auto` takes the faster variant; one that is missing or fails is replaced by `fp32`. */
  wanted: Variant | 'auto';
  /** Starts a thread with a graph. */
  start: (graph: Uint8Array) => Promise<Thread>;
  /** Called with the reason when a variant that exists or was requested is not served. */
  onRefused: (message: string) => void;
}

/** The variant to serve, its first thread, and that of the other variant, for another use. */
export interface Choice extends Candidate {
  spare: Thread | null;
}

/**
 * Loads the candidate variants, checks each with its probe, and takes the faster one.
 * @throws PerennialError bundle_invalid when fp32 cannot be loaded or fails its probe
 */
export async function chooseVariant(trial: VariantTrial): Promise<Choice> {
  if (trial.wanted === 'fp32') return { ...(await startFp32(trial)), spare: null };
  if (trial.wanted === 'int8') return { ...((await tryInt8(trial)) ?? (await startFp32(trial))), spare: null };
  // Both are loaded in parallel, each by its own thread.
  const trying = tryInt8(trial);
  let fp32: Candidate;
  try {
    fp32 = await startFp32(trial);
  } catch (error) {
    await (await trying)?.thread.close();
    throw error;
  }
  const int8 = await trying;
  if (int8 === null) return { ...fp32, spare: null };
  const faster = await fasterOf(int8, fp32).catch((error: unknown) => {
    // Either may have failed. If it was fp32, its first request fails and its thread is replaced.
    trial.onRefused(`The 8-bit network is not served: it could not be timed (${messageOf(error)})`);
    return fp32;
  });
  return { ...faster, spare: (faster === int8 ? fp32 : int8).thread };
}

async function startFp32(trial: VariantTrial): Promise<Candidate> {
  return { variant: 'fp32', thread: await startProbed(trial, 'fp32', trial.bundle.graphs.fp32) };
}

const rounds = 7;

/**
 * The variant with the faster fastest run. Their runs alternate, so that other load on the machine slows both: the
 * choice holds until the engine is loaded again.
 */
async function fasterOf(int8: Candidate, fp32: Candidate): Promise<Candidate> {
  let [int8Ms, fp32Ms] = [Infinity, Infinity];
  for (let round = 0; round < rounds; round += 1) {
    int8Ms = Math.min(int8Ms, await inferenceMs(int8));
    fp32Ms = Math.min(fp32Ms, await inferenceMs(fp32));
  }
  return int8Ms < fp32Ms ? int8 : fp32;
}

async function inferenceMs({ thread }: Candidate): Promise<number> {
  const { inferMs } = await runPixels(thread, new Uint8Array(pixelBytes), 1);
  return inferMs;
}

/** The int8 variant, or null when there is none or it fails: its faults never make the version unservable. */
async function tryInt8(trial: VariantTrial): Promise<Candidate | null> {
  const { wanted, onRefused } = trial;
  const { int8 } = trial.bundle.graphs;
  if (int8 === null) {
    if (wanted === 'int8') onRefused('The bundle holds no 8-bit network that passed its checks; fp32 is served.');
    return null;
  }
  try {
    return { variant: 'int8', thread: await startProbed(trial, 'int8', int8) };
  } catch (error) {
    onRefused(`The 8-bit network is not served: ${messageOf(error)}`);
    return null;
  }
}

async function startProbed(
  { folder, bundle, start }: VariantTrial,
  variant: Variant,
  graph: Uint8Array,
): Promise<Thread> {
  const thread = await start(graph);
  try {
    await checkProbe({ folder, manifest: bundle.manifest, variant }, async (bytes, count) => {
      const { rows } = await runPixels(thread, bytes, count);
      return rows.map(({ probabilities }) => probabilities);
    });
    return thread;
  } catch (error) {
    await thread.close();
    throw error;
  }
}

/**
 * Runs `count` images of 224×224 RGB pixels on a thread.
 * @throws PerennialError bundle_invalid when the thread fails
 */
async function runPixels(
  thread: Thread,
  bytes: Uint8Array,
  count: number,
): Promise<Extract<JobOutcome, { type: 'answer' }>> {
  const reply = await thread.run({ kind: 'pixels', bytes, count });
  if (reply.type === 'died')
    throw new PerennialError('bundle_invalid', `The inference thread ended (${reply.message}).`);
  if (reply.outcome.type === 'answer') return reply.outcome;
  throw new PerennialError('bundle_invalid', reply.outcome.message);
}
