import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { RiskPoint, Variant } from '../../contracts/registry/bundle.js';
import { PerennialError } from '../../contracts/errors.js';
import type { ImageLimits } from '../../model/images/inspect.js';
import {
  backgroundReplySchema,
  type BackgroundReply,
  type BackgroundRequest,
  type ImagePrediction,
} from '../../model/serving/background-messages.js';
import { childEnvironment } from '../../platform/config.js';
import type { Logger } from '../../platform/logging.js';

/** A process of low priority with a loaded model. It handles one request at a time. */
export interface BackgroundProcess {
  readonly pid: number | undefined;
  /** Risk curve of the model; null for bundles without one. */
  readonly riskCurve: readonly RiskPoint[] | null;
  isAlive(): boolean;
  /** Throws what `Engine.predictImage` throws, and `trainer_died` when the process ends. */
  predict(bytes: Uint8Array): Promise<ImagePrediction>;
  stop(): Promise<void>;
}

const childPath = fileURLToPath(new URL('../../workers/background-child.js', import.meta.url));

/** Far above the time of any image, also at low priority on a busy machine. */
const maxAnswerMs = 5 * 60_000;

/**
 * Starts a process that loads a bundle. It is killed when a request takes longer than `answerMs`. Throws `bundle_invalid`,
 * or `trainer_died` when it ends early.
 */
export async function startBackgroundProcess({
  logger,
  answerMs = maxAnswerMs,
  ...opening
}: {
  bundleFolder: string;
  limits: ImageLimits;
  variant: Variant;
  logger: Logger;
  answerMs?: number;
}): Promise<BackgroundProcess> {
  // 'advanced' sends bytes as bytes, not as JSON.
  const child = fork(childPath, { env: childEnvironment({}), serialization: 'advanced' });
  child.on('error', (error) => logger.warn({ error, child: child.pid }, 'a background inference process has failed'));
  // An idle process must not keep the worker alive; it ends when its channel closes.
  child.unref();
  child.channel?.unref();
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await once(child, 'exit');
  };
  try {
    const opened = await sendRequest(child, { type: 'open', ...opening }, answerMs);
    if (opened.type !== 'opened') throw unexpectedReply(opened);
    return {
      pid: child.pid,
      riskCurve: opened.riskCurve,
      isAlive: () => child.connected && child.exitCode === null && child.signalCode === null,
      async predict(bytes) {
        const reply = await sendRequest(child, { type: 'predict', bytes }, answerMs);
        if (reply.type !== 'predicted') throw unexpectedReply(reply);
        return reply.prediction;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function sendRequest(
  child: ChildProcess,
  request: BackgroundRequest,
  timeoutMs: number,
): Promise<BackgroundReply> {
  const listening = new AbortController();
  // The calling activity keeps sending heartbeats, so Temporal would not notice a process that hangs.
  const timeout = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  // While a reply is pending, the process keeps the worker alive.
  child.channel?.ref();
  try {
    const reply = once(child, 'message', { signal: listening.signal });
    const end = once(child, 'exit', { signal: listening.signal }).then(() => null);
    // Aborting the listeners rejects the promise that lost the race; ignore that error.
    reply.catch(() => undefined);
    end.catch(() => undefined);
    child.send(request, () => undefined);
    const first = child.connected ? await Promise.race([reply, end]) : null;
    if (first === null) throw processEnded(child);
    return backgroundReplySchema.parse(first[0]);
  } finally {
    clearTimeout(timeout);
    listening.abort();
    child.channel?.unref();
  }
}

function processEnded(child: ChildProcess): PerennialError {
  const how = child.exitCode ?? child.signalCode ?? 'unknown reason';
  return new PerennialError('trainer_died', `The background inference process ended (${how}).`);
}

function unexpectedReply(reply: BackgroundReply): PerennialError {
  if (reply.type === 'failed') return new PerennialError(reply.code, reply.message);
  return new PerennialError('internal', `Unexpected reply of the background inference process: ${reply.type}.`);
}
