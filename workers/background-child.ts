import './lower-priority.js';
import { errorCodeOf, messageOf, PerennialError } from '../contracts/errors.js';
import {
  backgroundRequestSchema,
  imagePredictionOf,
  type BackgroundReply,
  type BackgroundRequest,
} from '../model/serving/background-messages.js';
import { createEngine, type Engine } from '../model/serving/engine.js';

/**
 * Predicts for batch work: a forked process of low priority with one inference thread, so that the machine's other work
 * comes first. It answers one request after another and ends when its channel closes.
 */
let engine: Engine | null = null;

process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole group: this process ends when its parent has nothing more for it.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('message', (message) => {
  // What cannot even be reported is left for the parent to find: a process that ended early.
  answer(backgroundRequestSchema.parse(message)).then(tell, (error: unknown) =>
    tell({ type: 'failed', code: errorCodeOf(error), message: messageOf(error) }),
  );
});

async function answer(request: BackgroundRequest): Promise<BackgroundReply> {
  if (request.type === 'open') {
    engine = await createEngine({ ...request, threads: 1, queueLimit: 4 });
    return { type: 'opened', riskCurve: engine.calibration?.riskCurve ?? null };
  }
  if (!engine) throw new PerennialError('internal', 'A picture came before the model.');
  return {
    type: 'predicted',
    prediction: imagePredictionOf(await engine.predictImage(request.bytes, { priority: 'background' }), engine.variant),
  };
}

function tell(reply: BackgroundReply): void {
  process.send?.(reply);
}
