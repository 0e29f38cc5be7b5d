import './lower-priority.js';
import { errorCodeOf, messageOf, PerennialError, systemFault } from '../contracts/errors.js';
import {
  backgroundRequestSchema,
  imagePredictionOf,
  type BackgroundReply,
  type BackgroundRequest,
} from '../model/serving/background-messages.js';
import { createEngine, type Engine } from '../model/serving/engine.js';

/**
 * Predicts for batch jobs: a forked process of low priority with one inference thread, so that other work of the machine
 * comes first. It handles one request at a time and exits when its channel closes.
 */
let engine: Engine | null = null;

process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole process group; this process exits when its parent closes the channel.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('message', (message) => {
  // If sending fails too, this process crashes, and its parent handles the early exit.
  answer(backgroundRequestSchema.parse(message)).then(reply, (error: unknown) =>
    reply({ type: 'failed', code: errorCodeOf(error), message: messageOf(systemFault(error) ?? error) }),
  );
});

async function answer(request: BackgroundRequest): Promise<BackgroundReply> {
  if (request.type === 'open') {
    engine = await createEngine({ ...request, threads: 1, queueLimit: 4 });
    return { type: 'opened', riskCurve: engine.calibration?.riskCurve ?? null };
  }
  if (!engine) throw new PerennialError('internal', 'An image was sent before a model was opened.');
  return {
    type: 'predicted',
    prediction: imagePredictionOf(await engine.predictImage(request.bytes, { priority: 'background' }), engine.variant),
  };
}

function reply(message: BackgroundReply): void {
  process.send?.(message);
}
