import type { Side } from '../contracts/datasets.js';

/** Where things lie in the bucket. Raw bytes use DVC's cache layout, so that `<bucket>/raw` is a DVC remote. */

export function rawImageKey(md5: string): string {
  return `raw/files/md5/${md5.slice(0, 2)}/${md5.slice(2)}`;
}

export function featureFileKey(backboneDigest: string, fileSha256: string): string {
  return `features/${backboneDigest.slice(0, 12)}/${fileSha256}.parquet`;
}

/** Everything below it belongs to one run. */
export function checkpointPrefix(runId: string): string {
  return `checkpoints/${runId}/`;
}

export function checkpointKey(runId: string, epoch: number, attempt: number): string {
  return `${checkpointPrefix(runId)}${String(epoch).padStart(4, '0')}-${String(attempt)}.ckpt`;
}

export function runArtifactKey(runId: string, name: string): string {
  return `runs/${runId}/${name}`;
}

export function searchArtifactKey(searchId: string, name: string): string {
  return `searches/${searchId}/${name}`;
}

export function uploadKey(uploadId: string, position: number): string {
  return `uploads/${uploadId}/${String(position)}`;
}

/** Everything below it belongs to one upload. */
export function uploadPrefix(uploadId: string): string {
  return `uploads/${uploadId}/`;
}

/** What was said about an uploaded model. */
export function importOrderKey(uploadId: string): string {
  return `${uploadPrefix(uploadId)}order.json`;
}

/** What the check of an uploaded model leaves for the steps after it. */
export function checkedModelKey(uploadId: string, name: string): string {
  return `${uploadPrefix(uploadId)}checked/${name}`;
}

export function sideManifestKey(side: Side, dataset: string, version: number): string {
  return `${side}/${dataset}/${String(version)}.json`;
}
