import type { RiskPoint } from '../../contracts/registry/bundle.js';
import { errorCodeOf, PerennialError } from '../../contracts/errors.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import type { ImagePrediction } from '../../model/serving/background-messages.js';
import type { Logger } from '../../platform/logging.js';
import { createLimiter } from '../../platform/concurrently.js';
import type { BackgroundProcess } from './background-process.js';

export interface BackgroundOptions {
  /** Starts a process that has the version loaded. */
  open: (version: ModelVersion) => Promise<BackgroundProcess>;
  logger: Pick<Logger, 'warn'>;
  /** How long a process waits for more work; loading a model for every chunk would cost a fifth of the time. */
  idleMs?: number;
}

/** Predicts with one version. */
export interface BackgroundEngine {
  readonly riskCurve: readonly RiskPoint[] | null;
  /**
   * What the model sees in an image. Throws what `Engine.predictImage` throws, and `undecodable_image` for one over which
   * the process has ended twice.
   */
  predict(bytes: Uint8Array): Promise<ImagePrediction>;
}

/** Engines in processes of their own, at low priority; whatever asks, one image is looked at at a time. */
export interface BackgroundEngines {
  /** Throws `bundle_invalid` when the version's bundle is damaged. */
  use<T>(version: ModelVersion, work: (engine: BackgroundEngine) => Promise<T>): Promise<T>;
  /** Ends all processes. */
  stop(): Promise<void>;
}

interface Holder {
  process: Promise<BackgroundProcess> | null;
  users: number;
  idle: NodeJS.Timeout | null;
}

const defaultIdleMs = 20_000;

export function createBackgroundEngines(options: BackgroundOptions): BackgroundEngines {
  const holders = new Map<string, Holder>();
  const oneAtATime = createLimiter(1);
  return {
    async use(version, work) {
      const holder = holders.get(version.bundleSha256) ?? { process: null, users: 0, idle: null };
      holders.set(version.bundleSha256, holder);
      holder.users += 1;
      if (holder.idle) clearTimeout(holder.idle);
      try {
        const { riskCurve } = await processOf(options, holder, version);
        return await work({
          riskCurve,
          predict: (bytes) => oneAtATime(() => predict(options, holder, version, bytes)),
        });
      } finally {
        holder.users -= 1;
        if (holder.users === 0) holder.idle = endLater(holder, options.idleMs ?? defaultIdleMs);
      }
    },
    async stop() {
      for (const holder of holders.values()) {
        if (holder.idle) clearTimeout(holder.idle);
        await end(holder);
      }
    },
  };
}

/** The process that has the version loaded; another when the last one has ended. */
async function processOf(
  options: BackgroundOptions,
  holder: Holder,
  version: ModelVersion,
): Promise<BackgroundProcess> {
  const current = holder.process;
  const present = await current?.catch(() => null);
  if (present?.isAlive() === true) return present;
  // Unless somebody else has started one meanwhile.
  if (holder.process === null || holder.process === current) holder.process = options.open(version);
  return holder.process;
}

async function predict(
  options: BackgroundOptions,
  holder: Holder,
  version: ModelVersion,
  bytes: Uint8Array,
): Promise<ImagePrediction> {
  for (let deaths = 0; deaths < 2; deaths += 1) {
    const running = await processOf(options, holder, version);
    try {
      return await running.predict(bytes);
    } catch (error) {
      if (errorCodeOf(error) !== 'trainer_died') throw error;
      options.logger.warn({ error, bytes: bytes.length }, 'a background process ended and is started again');
    }
  }
  throw new PerennialError('undecodable_image', 'The process that looked at this image ended over it, twice.');
}

function endLater(holder: Holder, idleMs: number): NodeJS.Timeout {
  return setTimeout(() => {
    if (holder.users === 0) void end(holder);
  }, idleMs).unref();
}

async function end(holder: Holder): Promise<void> {
  const ended = holder.process;
  holder.process = null;
  const running = await ended?.catch(() => null);
  await running?.stop();
}
