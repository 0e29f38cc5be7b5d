import { PerennialError, errorCodeOf } from '../../contracts/errors.js';
import type { ExplanationView } from '../../contracts/inference/http-explanations.js';
import type { Explanation, Neighbour } from '../../model/serving/engine.js';
import type { StoredImage, ImageStore } from '../../stores/datasets/images.js';
import type { Predicted, PredictionRequest, Predictor } from './predictor.js';
import { createMemoryBudget, type MemoryBudget } from '../http/body/memory-budget.js';
import { imageUrl } from '../datasets/image-routes.js';
import type { RequestMetrics } from '../http/request-metrics.js';

/** Options of an explanation. */
export interface ExplanationQuery {
  label?: string | undefined;
  neighbours: number;
  overlay: boolean;
}

export interface Explained extends Predicted {
  explanation: Explanation;
  view: ExplanationView;
}

/** Explanations over HTTP, within a separate budget. */
export interface Explanations {
  /** Memory budget of explanations, separate from that of predictions, so that it never refuses a prediction. */
  memoryBudget: MemoryBudget;
  /**
   * Refuses while too many are running, before the body is read.
   * @throws PerennialError overloaded
   */
  requireRoom(): void;
  /**
   * A prediction with its explanation.
   * @throws PerennialError overloaded, and what `Predictor.explain` throws
   */
  explain(bytes: Uint8Array, query: ExplanationQuery, request: PredictionRequest): Promise<Explained>;
}

/**
 * Maximum concurrent explanations, including waiting ones. Threads run them only while no prediction waits, so a longer
 * queue would only delay them and hold their images in memory.
 */
const mostAtOnce = 8;
const retryAfterSeconds = 2;

/** Maximum bytes of images to be explained in memory. */
const memoryBudgetBytes = 96_000_000;

/** Extra neighbours to look up, because some may have been erased. */
const spareNeighbours = 10;

interface Dependencies {
  predictor: Pick<Predictor, 'explain'>;
  images: Pick<ImageStore, 'find'>;
  metrics: Pick<RequestMetrics, 'countShed'>;
}

export function createExplanations({ predictor, images, metrics }: Dependencies): Explanations {
  let underWay = 0;
  const requireRoom = (): void => {
    if (underWay < mostAtOnce) return;
    metrics.countShed('explanations');
    throw new PerennialError(
      'overloaded',
      `${underWay} images are being explained, and predictions have priority. Send the request again later.`,
      { details: { retryAfterSeconds } },
    );
  };
  return {
    memoryBudget: createMemoryBudget({ totalBytes: memoryBudgetBytes, onShed: () => metrics.countShed('memory') }),
    requireRoom,
    async explain(bytes, { label, neighbours, overlay }, request) {
      requireRoom();
      underWay += 1;
      try {
        const wanted = neighbours === 0 ? 0 : neighbours + spareNeighbours;
        const options = { overlay, neighbours: wanted, ...(label !== undefined && { label }) };
        const explained = await predictor.explain(bytes, options, request);
        const known = await knownImages(images, explained.explanation.neighbours);
        return { ...explained, view: explanationView(explained.explanation, neighboursView(known, neighbours)) };
      } finally {
        underWay -= 1;
      }
    },
  };
}

interface KnownNeighbour extends Neighbour {
  /** Null if the database does not know the image, undefined if it is unavailable. */
  image: StoredImage | null | undefined;
}

async function knownImages(
  images: Dependencies['images'],
  neighbours: readonly Neighbour[],
): Promise<readonly KnownNeighbour[]> {
  if (neighbours.length === 0) return [];
  try {
    const found = await images.find(neighbours.map(({ sha256 }) => sha256));
    const bySha256 = new Map(found.map((image) => [image.sha256, image]));
    return neighbours.map((neighbour) => ({ ...neighbour, image: bySha256.get(neighbour.sha256) ?? null }));
  } catch (error) {
    if (errorCodeOf(error) !== 'database_unavailable') throw error;
    return neighbours.map((neighbour) => ({ ...neighbour, image: undefined }));
  }
}

/** Omits erased images; images unknown to the database have no URL. */
function neighboursView(neighbours: readonly KnownNeighbour[], count: number): ExplanationView['neighbours'] {
  return neighbours
    .filter(({ image }) => (image?.erasedAt ?? null) === null)
    .slice(0, count)
    .map(({ sha256, label, distance, image }) => ({
      sha256,
      label,
      distance,
      image_url: image ? imageUrl(sha256) : null,
    }));
}

function explanationView(
  { label, method, map, logit, bias, overlay }: Explanation,
  neighbours: ExplanationView['neighbours'],
): ExplanationView {
  return {
    label,
    method,
    rows: map.length,
    columns: map[0]?.length ?? 0,
    map: map.map((row) => row.map(rounded)),
    logit,
    bias,
    overlay: overlay && Buffer.from(overlay.buffer, overlay.byteOffset, overlay.byteLength).toString('base64'),
    neighbours,
  };
}

/** Rounds to single precision: further digits are meaningless and would double the answer. */
function rounded(value: number): number {
  return Number(value.toPrecision(7));
}
