import type { Variant } from '../../contracts/registry/bundle.js';
import { PerennialError } from '../../contracts/errors.js';
import { pixelBytes } from '../images/decode.js';
import type { Explanation, ExplainOptions, OodScore, Prediction } from './answers.js';
import { explainImage } from './explain/explain-image.js';
import type { Answer } from './job-queue.js';
import type { Job, Row } from './messages.js';
import type { Near } from './nearest.js';
import type { ServedReferences } from './read-bundle.js';
import type { RunOptions, ThreadPool } from './thread-pool.js';

/** A loaded model: turns answers of threads into predictions. */
export interface LoadedModel {
  pool: ThreadPool;
  labels: readonly string[];
  variant: Variant;
  references: ServedReferences | null;
}

/** Images per job: other requests wait for no more of a request at a time. */
const imagesPerJob = 4;

/** Predicts an image file. */
export async function predictImage(model: LoadedModel, bytes: Uint8Array, options?: RunOptions): Promise<Prediction> {
  const [answer] = await model.pool.run([{ kind: 'image', bytes }], options);
  return predictionOf(model, answer);
}

/** Predicts `count` images of pixels, in their order. */
export async function predictPixels(
  model: LoadedModel,
  { pixels, count }: { pixels: Uint8Array; count: number },
  options?: RunOptions,
): Promise<Prediction[]> {
  if (!Number.isInteger(count) || count < 1 || pixels.length !== count * pixelBytes) {
    throw new PerennialError(
      'invalid_tensor',
      `${count} images need ${count * pixelBytes} bytes of 224×224 RGB pixels; ${pixels.length} were sent.`,
    );
  }
  const jobs = Array.from({ length: Math.ceil(count / imagesPerJob) }, (_, job): Job => {
    const first = job * imagesPerJob;
    const last = Math.min(first + imagesPerJob, count);
    const bytes = pixels.subarray(first * pixelBytes, last * pixelBytes);
    return { kind: 'pixels', bytes, count: last - first };
  });
  const answers = await model.pool.run(jobs, options);
  return answers.flatMap((answer) => answer.rows.map((row) => readRow(model, row, answer)));
}

/** Explains which regions of an image support a class. */
export function explainPrediction(
  model: LoadedModel,
  bytes: Uint8Array,
  explain: ExplainOptions,
  options: RunOptions = {},
): Promise<Explanation> {
  const explainer = {
    labels: model.labels,
    references: model.references?.images ?? [],
    run: async (job: Job) => {
      const [answer] = await model.pool.run([job], { ...options, priority: options.priority ?? 'background' });
      if (answer === undefined)
        throw new PerennialError('internal', 'The inference thread returned no answer. Send the request again.');
      return answer;
    },
    predictionOf: (answer: Answer) => predictionOf(model, answer),
  };
  return explainImage(explainer, bytes, explain);
}

function predictionOf(model: LoadedModel, answer: Answer | undefined): Prediction {
  const [row] = answer?.rows ?? [];
  if (answer === undefined || row === undefined) {
    throw new PerennialError('internal', 'The inference thread returned no prediction. Send the request again.');
  }
  return readRow(model, row, answer);
}

function readRow(
  model: LoadedModel,
  { probabilities, nearest }: Row,
  { queueMs, decodeMs, inferMs }: Prediction['phases'],
): Prediction {
  const confidence = Math.max(...probabilities);
  const label = model.labels[probabilities.indexOf(confidence)];
  if (label === undefined) {
    throw new PerennialError('internal', 'The model gave no probability for its labels. Promote another version.');
  }
  const oodScore = oodScoreOf(model, nearest);
  return { label, confidence, probabilities, oodScore, phases: { queueMs, decodeMs, inferMs } };
}

function oodScoreOf({ references, variant }: LoadedModel, near: Near | null): OodScore | null {
  const neighbour = near === null ? undefined : references?.images[near.row];
  if (near === null || references === null || neighbour === undefined) return null;
  const unfamiliarAbove = references.unfamiliarAbove[variant] ?? references.unfamiliarAbove.fp32;
  return { distance: near.distance, outOfDistribution: near.distance > unfamiliarAbove, neighbour: neighbour.label };
}
