/** Why a batch was not larger. */
export const releaseReasons = ['full', 'nothing_waits', 'latency_target'] as const;
export type ReleaseReason = (typeof releaseReasons)[number];

export interface BatchLimitInput {
  /** The calibrated batch size: larger batches are not faster per image. */
  batchSize: number;
  latencyTargetMs: number;
  /** How long the first image of the batch has waited. */
  waitedMs: number;
  imageMs: number | null;
}

/** Largest batch for a thread: the calibrated size, or less if the first image would then miss the latency target. */
export function batchLimit({ batchSize, latencyTargetMs, waitedMs, imageMs }: BatchLimitInput): {
  images: number;
  reason: ReleaseReason;
} {
  if (latencyTargetMs === 0 || imageMs === null) return { images: batchSize, reason: 'full' };
  const inTime = Math.max(1, Math.floor((latencyTargetMs - waitedMs) / imageMs));
  return inTime < batchSize ? { images: inTime, reason: 'latency_target' } : { images: batchSize, reason: 'full' };
}
