/** What decides whether a version may be deleted. */
export interface RetainedVersion {
  version: number;
  /** What refers to it, each as a clause: "it is in Production". */
  references: readonly string[];
  /** When it was last in Production; null if never. */
  lastServedAt: Date | null;
}

export interface RetentionRule {
  /** Number of newest versions that are always kept; at least ten. */
  keep: number;
  now: Date;
}

export interface RetentionPlan {
  /** Versions that may be deleted, oldest first. */
  retire: number[];
  /** The others, newest first, each with the reason to keep it. */
  kept: { version: number; reason: string }[];
}

const leastKept = 10;
const servedDays = 90;
const dayMs = 86_400_000;

/**
 * Decides which versions of a model are kept: the newest, those that are referenced, and those that were in Production
 * within the last 90 days, because investigating an incident of that time needs the model that served.
 */
export function planRetention(versions: readonly RetainedVersion[], { keep, now }: RetentionRule): RetentionPlan {
  const newest = Math.max(leastKept, keep);
  const newestFirst = [...versions].sort((a, b) => b.version - a.version);
  const judged = newestFirst.map((version, index) => ({
    version: version.version,
    reason: index < newest ? `it is among the newest ${newest}` : reasonToKeep(version, now),
  }));
  return {
    retire: judged.flatMap(({ version, reason }) => (reason === null ? [version] : [])).reverse(),
    kept: judged.flatMap(({ version, reason }) => (reason === null ? [] : [{ version, reason }])),
  };
}

function reasonToKeep({ references, lastServedAt }: RetainedVersion, now: Date): string | null {
  if (references.length > 0) return references.join('; ');
  const servedAgo = lastServedAt === null ? Infinity : now.getTime() - lastServedAt.getTime();
  return servedAgo < servedDays * dayMs ? `it was in Production within the last ${servedDays} days` : null;
}
