import { splits } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import type { IngestionResult } from '../../contracts/datasets/ingestion.js';
import { dvcDirectory } from '../../domain/datasets/dvc-directory.js';
import { planVersion } from '../../domain/datasets/plan-version.js';
import type { Ingestion, IngestionCounts } from '../../stores/datasets/ingestions.js';
import { rawImageKey, splitManifestKey } from '../../stores/objects/object-keys.js';
import type { IngestionDependencies } from './dependencies.js';

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
      `Each of the ${plan.conflicts.length} images of ${dataset} appears under two labels, so none can be used. Leave each in one class folder. For example: ${examples.join('; ')}.`,
    );
  });
  if (!(await deps.commits.isPublished(dataset, version))) await publish(deps, dataset, version);
  const { skipped } = ingestion;
  const conflicts = conflicting.byLabel;
  const taken = counts.newImages - conflicting.newImages;
  const known = counts.accepted - sum(conflicts) - taken;
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
    conflicts: statistics.conflicts,
    statistics,
    counts: { taken, known, quarantined: counts.quarantined, conflicts, skipped },
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

/** Writes the manifests and the DVC listing of a version; repeating it writes the same bytes under the same keys. */
async function publish({ commits, objects }: IngestionDependencies, dataset: string, version: number): Promise<void> {
  const images = await commits.listImages(dataset, version);
  const { json, md5 } = dvcDirectory(images);
  const listingKey = rawImageKey(`${md5}.dir`);
  await commits.claim(listingKey);
  await objects.put(listingKey, Buffer.from(json), 'application/json');
  for (const split of splits) {
    const entries = images
      .filter((image) => image.side === split)
      .map(({ sha256, md5: contentMd5, label, sizeBytes, format, width, height }) => ({
        sha256,
        label,
        key: rawImageKey(contentMd5),
        size_bytes: sizeBytes,
        format,
        width,
        height,
      }));
    const manifest = Buffer.from(JSON.stringify({ dataset, version, side: split, images: entries }));
    await objects.put(splitManifestKey(split, dataset, version), manifest, 'application/json');
  }
  await commits.markPublished(dataset, version);
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
