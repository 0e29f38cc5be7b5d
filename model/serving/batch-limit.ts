/** Why a batch went to its thread as it was, and no larger. */
export const releaseReasons = ['full', 'nothing_waits', 'latency_target'] as const;
export type ReleaseReason = (typeof releaseReasons)[number];

export interface BatchLimitInput {
  /** Images at once beyond which the graph is no faster, by measure. */
  batchSize: number;
  latencyTargetMs: number;
  /** How long the first image of the batch has waited. */
  waitedMs: number;
  imageMs: number | null;
}

/** Images a thread may take at once: its fastest number, unless the first of them would then come too late. */
export function batchLimit({ batchSize, latencyTargetMs, waitedMs, imageMs }: BatchLimitInput): {
  images: number;
  reason: ReleaseReason;
} {
  if (latencyTargetMs === 0 || imageMs === null) return { images: batchSize, reason: 'full' };
  const inTime = Math.max(1, Math.floor((latencyTargetMs - waitedMs) / imageMs));
  return inTime < batchSize ? { images: inTime, reason: 'latency_target' } : { images: batchSize, reason: 'full' };
}
