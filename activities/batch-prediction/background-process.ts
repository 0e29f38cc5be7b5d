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

/** A process of low priority that has a model loaded. It is asked one thing at a time. */
export interface BackgroundProcess {
  readonly pid: number | undefined;
  /** How its confidence relates to its mistakes; null for bundles that do not say. */
  readonly riskCurve: readonly RiskPoint[] | null;
  isAlive(): boolean;
  /** Throws what `Engine.predictImage` throws, and `trainer_died` when the process ends over it. */
  predict(bytes: Uint8Array): Promise<ImagePrediction>;
  stop(): Promise<void>;
}

const childPath = fileURLToPath(new URL('../../workers/background-child.js', import.meta.url));

/** No picture takes a hundredth of it, at the lowest priority on a busy machine either. */
const longestAnswerMs = 5 * 60_000;

/**
 * Starts a process and has it load a bundle; one that does not answer for long is ended. Throws `bundle_invalid`, or
 * `trainer_died` when it ends early.
 */
export async function startBackgroundProcess({
  logger,
  answerMs = longestAnswerMs,
  ...opening
}: {
  bundleFolder: string;
  limits: ImageLimits;
  variant: Variant;
  logger: Logger;
  answerMs?: number;
}): Promise<BackgroundProcess> {
  // Advanced, so that bytes cross as bytes.
  const child = fork(childPath, { env: childEnvironment({}), serialization: 'advanced' });
  child.on('error', (error) => logger.warn({ error, child: child.pid }, 'a background process has failed'));
  // A process that waits for work must not keep the worker from ending; it ends with its channel.
  child.unref();
  child.channel?.unref();
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await once(child, 'exit');
  };
  try {
    const opened = await ask(child, { type: 'open', ...opening }, answerMs);
    if (opened.type !== 'opened') throw strayReply(opened);
    return {
      pid: child.pid,
      riskCurve: opened.riskCurve,
      isAlive: () => child.connected && child.exitCode === null && child.signalCode === null,
      async predict(bytes) {
        const reply = await ask(child, { type: 'predict', bytes }, answerMs);
        if (reply.type !== 'predicted') throw strayReply(reply);
        return reply.prediction;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function ask(child: ChildProcess, request: BackgroundRequest, mostMs: number): Promise<BackgroundReply> {
  const heard = new AbortController();
  // The activity that asks goes on reporting itself alive: nobody else would find out.
  const patience = setTimeout(() => child.kill('SIGKILL'), mostMs);
  // While an answer is awaited, the process does keep the worker.
  child.channel?.ref();
  try {
    const reply = once(child, 'message', { signal: heard.signal });
    const end = once(child, 'exit', { signal: heard.signal }).then(() => null);
    // The loser of the race is told to stop listening, by an error that nobody waits for.
    reply.catch(() => undefined);
    end.catch(() => undefined);
    child.send(request, () => undefined);
    const first = child.connected ? await Promise.race([reply, end]) : null;
    if (first === null) throw died(child);
    return backgroundReplySchema.parse(first[0]);
  } finally {
    clearTimeout(patience);
    heard.abort();
    child.channel?.unref();
  }
}

function died(child: ChildProcess): PerennialError {
  const how = child.exitCode ?? child.signalCode ?? 'unknown reason';
  return new PerennialError('trainer_died', `The process that predicts in the background ended (${how}).`);
}

function strayReply(reply: BackgroundReply): PerennialError {
  if (reply.type === 'failed') return new PerennialError(reply.code, reply.message);
  return new PerennialError('internal', `The background process answered ${reply.type} to something else.`);
}
