import { errorCodeOf } from '../../contracts/errors.js';
import type { LiveStats } from '../../contracts/promotion/live-stats.js';
import type { Engine } from '../../model/serving/engine.js';

/** Latest predictions whose times the percentile is taken of. */
const timesKept = 500;

/** An engine that counts what it answers. */
export interface CountingEngine {
  engine: Engine;
  figures(): LiveStats;
}

/** Stands before an engine and keeps the figures by which the guard of a promotion judges it. */
export function countPredictions(engine: Engine, of: Pick<LiveStats, 'generation' | 'version'>): CountingEngine {
  const seen = new Figures(of);
  const count = async <T>(work: Promise<T>, note: (result: T) => void): Promise<T> => {
    try {
      const result = await work;
      note(result);
      return result;
    } catch (error) {
      // What a client sent wrong, and what was refused in a rush, says nothing about the model.
      if (errorCodeOf(error) === 'internal') seen.failed();
      throw error;
    }
  };
  return {
    figures: () => seen.read(),
    engine: {
      get manifest() {
        return engine.manifest;
      },
      labels: engine.labels,
      variant: engine.variant,
      calibration: engine.calibration,
      get waiting() {
        return engine.waiting;
      },
      admit: (images, options) => engine.admit(images, options),
      predictImage: (bytes, options) =>
        count(engine.predictImage(bytes, options), ({ label, confidence, phases }) =>
          seen.predicted(label, confidence, phases.decodeMs + phases.inferMs),
        ),
      predictPixels: (pixels, images, options) =>
        count(engine.predictPixels(pixels, images, options), (predictions) => {
          for (const { label, confidence } of predictions) seen.predicted(label, confidence, null);
        }),
      explainImage: (bytes, explain, options) => engine.explainImage(bytes, explain, options),
      close: () => engine.close(),
    },
  };
}

class Figures {
  private predictions = 0;
  private errors = 0;
  private confidenceSum = 0;
  private readonly classes = new Map<string, number>();
  private readonly timesMs: number[] = [];

  constructor(private readonly of: Pick<LiveStats, 'generation' | 'version'>) {}

  predicted(label: string, confidence: number, timeMs: number | null): void {
    this.predictions += 1;
    this.confidenceSum += confidence;
    this.classes.set(label, (this.classes.get(label) ?? 0) + 1);
    if (timeMs !== null) this.timesMs[this.predictions % timesKept] = timeMs;
  }

  failed(): void {
    this.errors += 1;
  }

  read(): LiveStats {
    const { generation, version } = this.of;
    const { predictions, errors, confidenceSum } = this;
    const p95Ms = percentile(this.timesMs, 0.95);
    const classes = Object.fromEntries(this.classes);
    return { generation, version, predictions, errors, confidenceSum, p95Ms, classes };
  }
}

/** Nearest rank, over what has been filled of a ring. */
function percentile(ring: readonly number[], share: number): number | null {
  const times = Object.values(ring).sort((a, b) => a - b);
  return times[Math.ceil(times.length * share) - 1] ?? null;
}
