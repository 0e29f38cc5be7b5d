import { classNamed } from '../../../contracts/datasets/label.js';
import { PerennialError } from '../../../contracts/errors.js';
import type { Explanation, ExplainOptions, Neighbour, Prediction } from '../answers.js';
import type { Job } from '../messages.js';
import { logitOf, sumOf } from './class-activation.js';
import type { Explained, ExplainJob, OverlayJob } from './messages.js';
import { occludedBatches, occlusionMap } from './occlusion.js';

/** Jobs for threads: none takes longer than one batch of images. */
export type ExplainingJob = ExplainJob | OverlayJob | Extract<Job, { kind: 'pixels' }>;

/** The part of a thread's answer that is used here. */
export interface ExplainingAnswer {
  rows: readonly { probabilities: readonly number[] }[];
  explained?: Explained | undefined;
}

export interface Explainer<A extends ExplainingAnswer> {
  labels: readonly string[];
  /** The images of the reference rows. */
  references: readonly { sha256: string; label: string }[];
  /** Runs one job on any thread. */
  run(job: ExplainingJob): Promise<A>;
  /** The prediction in the answer to a job of one image. */
  predictionOf(answer: A): Prediction;
}

/**
 * Explains a prediction: by class activations if the graph has them, else by occlusion, masking one patch after the
 * other. Jobs are short and run one at a time, so that other requests run in between.
 * @throws PerennialError bad_request for a class the model does not know, and what `run` throws
 */
export async function explainImage<A extends ExplainingAnswer>(
  explainer: Explainer<A>,
  bytes: Uint8Array,
  { label, overlay, neighbours }: ExplainOptions,
): Promise<Explanation> {
  const classIndex = label === undefined ? null : indexOf(label, explainer.labels);
  const answer = await explainer.run({ kind: 'explain', bytes, classIndex, overlay, neighbours });
  const explained = foundIn(answer);
  const prediction = explainer.predictionOf(answer);
  const about = {
    prediction,
    label: explainer.labels[explained.classIndex] ?? prediction.label,
    logit: logitOf(prediction.probabilities, explained.classIndex),
    neighbours: neighboursOf(explained, explainer.references),
  };
  if (explained.map !== null) {
    const bias = about.logit - sumOf(explained.map);
    return { ...about, method: 'class_activation', map: explained.map, bias, overlay: explained.overlay };
  }
  const measured = await occlude(explainer, explained, { prediction, overlay });
  return { ...about, method: 'occlusion', ...measured, bias: null };
}

function indexOf(label: string, labels: readonly string[]): number {
  const index = labels.indexOf(classNamed(labels, label) ?? '');
  if (index >= 0) return index;
  throw new PerennialError(
    'bad_request',
    `The model has no class “${label.slice(0, 100)}”. Send one of its classes: ${labels.join(', ')}.`,
  );
}

function foundIn({ explained }: ExplainingAnswer): Explained {
  if (explained !== undefined) return explained;
  throw new PerennialError('internal', 'The inference thread answered without an explanation. Send the request again.');
}

function neighboursOf({ neighbours }: Explained, references: Explainer<ExplainingAnswer>['references']): Neighbour[] {
  return neighbours.flatMap(({ row, distance }) => {
    const image = references[row];
    return image === undefined ? [] : [{ sha256: image.sha256, label: image.label, distance }];
  });
}

async function occlude<A extends ExplainingAnswer>(
  { run }: Explainer<A>,
  { pixels, classIndex }: Explained,
  { prediction, overlay }: { prediction: Prediction; overlay: boolean },
): Promise<Pick<Explanation, 'map' | 'overlay'>> {
  if (pixels === null)
    throw new PerennialError(
      'internal',
      'The inference thread returned neither a map nor pixels. Send the request again.',
    );
  const occluded: (readonly number[])[] = [];
  for (const batch of occludedBatches(pixels)) {
    const { rows } = await run({ kind: 'pixels', bytes: batch.pixels, count: batch.count });
    occluded.push(...rows.map(({ probabilities }) => probabilities));
  }
  const map = occlusionMap(prediction.probabilities, occluded, classIndex);
  if (!overlay) return { map, overlay: null };
  const drawn = await run({ kind: 'overlay', bytes: pixels, map });
  return { map, overlay: foundIn(drawn).overlay };
}
