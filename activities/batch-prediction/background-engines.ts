import type { RiskPoint } from '../../contracts/registry/bundle.js';
import { errorCodeOf, PerennialError } from '../../contracts/errors.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import type { ImagePrediction } from '../../model/serving/background-messages.js';
import type { Logger } from '../../platform/logging.js';
import { createLimiter } from '../../platform/concurrently.js';
import type { BackgroundProcess } from './background-process.js';

export interface BackgroundOptions {
  /** Starts a process that loads the version. */
  open: (version: ModelVersion) => Promise<BackgroundProcess>;
  logger: Pick<Logger, 'warn'>;
  /** How long a process waits for more work; loading a model for each chunk would take a fifth of the time. */
  idleMs?: number;
}

/** Predicts with one model version. */
export interface BackgroundEngine {
  readonly riskCurve: readonly RiskPoint[] | null;
  /**
   * Predicts one image. Throws what `Engine.predictImage` throws, and `undecodable_image` for an image on which the process
   * crashed twice.
   */
  predict(bytes: Uint8Array): Promise<ImagePrediction>;
}

/** Engines in separate processes of low priority. All callers together predict one image at a time. */
export interface BackgroundEngines {
  /** Throws `bundle_invalid` when the version's bundle is damaged. */
  use<T>(version: ModelVersion, work: (engine: BackgroundEngine) => Promise<T>): Promise<T>;
  /** Ends all processes. */
  stop(): Promise<void>;
}

interface EngineSlot {
  process: Promise<BackgroundProcess> | null;
  users: number;
  idle: NodeJS.Timeout | null;
}

const defaultIdleMs = 20_000;

export function createBackgroundEngines(options: BackgroundOptions): BackgroundEngines {
  const slots = new Map<string, EngineSlot>();
  const oneAtATime = createLimiter(1);
  return {
    async use(version, work) {
      const slot = slots.get(version.bundleSha256) ?? { process: null, users: 0, idle: null };
      slots.set(version.bundleSha256, slot);
      slot.users += 1;
      if (slot.idle) clearTimeout(slot.idle);
      try {
        const { riskCurve } = await processOf(options, slot, version);
        return await work({
          riskCurve,
          predict: (bytes) => oneAtATime(() => predict(options, slot, version, bytes)),
        });
      } finally {
        slot.users -= 1;
        if (slot.users === 0) slot.idle = stopWhenIdle(slot, options.idleMs ?? defaultIdleMs);
      }
    },
    async stop() {
      for (const slot of slots.values()) {
        if (slot.idle) clearTimeout(slot.idle);
        await stopProcess(slot);
      }
    },
  };
}

/** The process with the version; a new one when the last one has ended. */
async function processOf(
  options: BackgroundOptions,
  slot: EngineSlot,
  version: ModelVersion,
): Promise<BackgroundProcess> {
  const current = slot.process;
  const process = await current?.catch(() => null);
  if (process?.isAlive() === true) return process;
  // Unless another caller has started one meanwhile.
  if (slot.process === null || slot.process === current) slot.process = options.open(version);
  return slot.process;
}

async function predict(
  options: BackgroundOptions,
  slot: EngineSlot,
  version: ModelVersion,
  bytes: Uint8Array,
): Promise<ImagePrediction> {
  for (let crashes = 0; crashes < 2; crashes += 1) {
    const running = await processOf(options, slot, version);
    try {
      return await running.predict(bytes);
    } catch (error) {
      if (errorCodeOf(error) !== 'trainer_died') throw error;
      options.logger.warn({ error, bytes: bytes.length }, 'a background inference process ended and is restarted');
    }
  }
  throw new PerennialError(
    'undecodable_image',
    'The inference process crashed twice on this image, so it was skipped.',
  );
}

function stopWhenIdle(slot: EngineSlot, idleMs: number): NodeJS.Timeout {
  return setTimeout(() => {
    if (slot.users === 0) void stopProcess(slot);
  }, idleMs).unref();
}

async function stopProcess(slot: EngineSlot): Promise<void> {
  const current = slot.process;
  slot.process = null;
  const running = await current?.catch(() => null);
  await running?.stop();
}
