import { errorCodeOf } from '../../contracts/errors.js';
import type { LiveStats } from '../../contracts/promotion/live-stats.js';
import type { Prediction } from '../../model/serving/engine.js';

/** Number of latest predictions in the latency percentile. */
const timesKept = 500;

/** Fields of a prediction for the statistics. */
interface PredictionFacts {
  of: 'image' | 'pixels' | 'explanation' | 'admission';
  served: { generation: number } | null;
  prediction: Pick<Prediction, 'label' | 'confidence' | 'phases'>;
  cached?: 'hit' | 'joined' | 'miss' | null;
}

/** Statistics of the served model and of the previous one, for the promotion guard. */
export class LiveStatsRecorder {
  private current: Figures | null = null;
  private former: LiveStats | null = null;

  /** Starts counting predictions of this generation; null for none. */
  begin(of: Pick<LiveStats, 'generation' | 'version'> | null): void {
    this.former = this.current?.read() ?? null;
    this.current = of && new Figures(of);
  }

  read(): { current: LiveStats | null; former: LiveStats | null } {
    return { current: this.current?.read() ?? null, former: this.former };
  }

  /** Cached and explained predictions are excluded: they do not show the current behaviour of the model. */
  onPredicted({ of, served, prediction, cached }: PredictionFacts): void {
    if (of === 'explanation' || cached === 'hit' || cached === 'joined') return;
    const { label, confidence, phases } = prediction;
    this.figuresOf(served)?.predicted(label, confidence, of === 'image' ? phases.decodeMs + phases.inferMs : null);
  }

  onFailed({ of, served, error }: Pick<PredictionFacts, 'of' | 'served'> & { error: unknown }): void {
    // Client errors and shed requests do not count against the model.
    if ((of === 'image' || of === 'pixels') && errorCodeOf(error) === 'internal') this.figuresOf(served)?.failed();
  }

  private figuresOf(served: PredictionFacts['served']): Figures | null {
    return this.current?.of.generation === served?.generation ? this.current : null;
  }
}

class Figures {
  private predictions = 0;
  private errors = 0;
  private confidenceSum = 0;
  private readonly classes = new Map<string, number>();
  private readonly timesMs: number[] = [];

  constructor(readonly of: Pick<LiveStats, 'generation' | 'version'>) {}

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

/** Nearest-rank percentile over the filled part of a ring buffer. */
function percentile(ring: readonly number[], share: number): number | null {
  const times = Object.values(ring).sort((a, b) => a - b);
  return times[Math.ceil(times.length * share) - 1] ?? null;
}
