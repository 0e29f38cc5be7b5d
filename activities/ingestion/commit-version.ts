import { PerennialError } from '../../contracts/errors.js';
import type { IngestionResult } from '../../contracts/datasets/ingestion.js';
import { planVersion } from '../../domain/datasets/plan-version.js';
import { publishRules } from '../../domain/datasets/publish-rules.js';
import type { Ingestion, IngestionCounts } from '../../stores/datasets/ingestions.js';
import { createVersionPublisher } from '../../stores/datasets/publish-version.js';
import type { IngestionDependencies } from './dependencies.js';
import { adviseAfterCommit } from './vanished-source.js';

/**
 * Makes the files of an ingestion the members of their source and returns the resulting dataset version; a new one only if
 * it differs from all earlier versions. Throws `source_empty` when no image can be used.
 */
export async function commitVersion(deps: IngestionDependencies, ingestion: Ingestion): Promise<IngestionResult> {
  const { id, dataset } = ingestion;
  const counts = await deps.ingestions.counts(id);
  if (ingestion.status === 'running') checkSomethingIsUsable(ingestion, counts);
  const { version, digest, isNewVersion, statistics, conflicting } = await deps.commits.commit(id, (state) => {
    const plan = planVersion(state);
    if (plan.examples.length > 0) return plan;
    const examples = plan.conflicts.slice(0, 3).map(({ paths }) => paths.join(' and '));
    throw new PerennialError(
      'source_empty',
      `Each of the ${plan.conflicts.length} images of ${dataset} appears under two labels, so none can be used. Leave each in one class folder, or set the right label: PATCH /api/v1/datasets/${dataset}/images/{sha256} with {"label": "…"}. For example: ${examples.join('; ')}.`,
    );
  });
  await createVersionPublisher(deps, publishRules).publish(dataset, version);
  const { conflicts } = statistics;
  const conflictAdvice = await adviseAfterCommit(deps, dataset, { version, conflicts });
  const { skipped } = ingestion;
  const taken = counts.newImages - conflicting.newImages;
  const known = counts.accepted - sum(conflicting.byLabel) - taken;
  const quarantined = sum(counts.quarantined);
  return {
    dataset,
    version,
    digest,
    isNewVersion,
    files: counts.accepted + quarantined + sum(skipped),
    newImages: counts.newImages,
    uploadedBytes: counts.uploadedBytes,
    duplicates: counts.duplicates,
    quarantined,
    conflicts,
    conflictAdvice,
    statistics,
    counts: { taken, known, quarantined: counts.quarantined, conflicts: conflicting.byLabel, skipped },
    warnings: statistics.warnings,
    note: ingestion.note,
  };
}

function checkSomethingIsUsable({ dataset, locator }: Ingestion, { accepted, quarantined }: IngestionCounts): void {
  if (accepted > 0) return;
  const reasons = Object.entries(quarantined).map(([reason, files]) => `${files} ${reason}`);
  throw new PerennialError(
    'source_empty',
    `None of the files in ${locator} can be used (${reasons.join(', ')}). A source is a folder with one folder for each class, which contain JPEG, PNG or WebP images. GET /api/v1/datasets/${dataset}/quarantine lists the files.`,
  );
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
