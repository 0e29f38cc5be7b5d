import { hash } from 'node:crypto';
import type { Split } from '../../contracts/datasets/datasets.js';

/** Keys in the bucket. Images use DVC's cache layout, so that `<bucket>/raw` is a DVC remote. */

export function rawImageKey(md5: string): string {
  return `raw/files/md5/${md5.slice(0, 2)}/${md5.slice(2)}`;
}

export function featureFileKey(backboneDigest: string, fileSha256: string): string {
  return `features/${backboneDigest.slice(0, 12)}/${fileSha256}.parquet`;
}

/** Prefix of the checkpoints of a run. */
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

/** A refused file of an uploaded archive. */
export function refusedEntryKey(uploadId: string, path: string): string {
  return `uploads/${uploadId}/refused/${hash('sha256', path)}`;
}

/** Prefix of all objects of an upload. */
export function uploadPrefix(uploadId: string): string {
  return `uploads/${uploadId}/`;
}

/** The registration request of an uploaded model. */
export function importOrderKey(uploadId: string): string {
  return `${uploadPrefix(uploadId)}order.json`;
}

/** The checked model of an import, for its later steps. */
export function checkedModelKey(uploadId: string, name: string): string {
  return `${uploadPrefix(uploadId)}checked/${name}`;
}

/** The captured image of a prediction, by day. */
export function predictionInputKey(modelName: string, createdAt: Date, predictionId: string): string {
  return `${predictionInputPrefix(modelName)}${createdAt.toISOString().slice(0, 10)}/${predictionId}`;
}

/** Prefix of all captured images of a model. */
export function predictionInputPrefix(modelName: string): string {
  return `predictions/inputs/${modelName}/`;
}

/** Prefix of the files of a bundle, without a slash. */
export function bundleKeyOf(modelName: string, bundleSha256: string): string {
  return `models/${modelName}/${bundleSha256.slice(0, 16)}`;
}

export function splitManifestKey(side: Split, dataset: string, version: number): string {
  return `${side}/${dataset}/${String(version)}.json`;
}

/** Prefix of all objects of a batch prediction. */
export function batchPrefix(jobId: string): string {
  return `predictions/batch/${jobId}/`;
}

/** The image list of a batch prediction, by one attempt; concurrent attempts have different keys. */
export function batchListPrefix(jobId: string, attempt: string): string {
  return `${batchPrefix(jobId)}work/list-${attempt}/`;
}

export function batchListKey(listPrefix: string, chunk: number): string {
  return `${listPrefix}${String(chunk).padStart(6, '0')}.json`;
}

/** The rows of a chunk, by one attempt. */
export function batchPartKey(jobId: string, chunk: number, attempt: string): string {
  return `${batchPrefix(jobId)}work/parts/${String(chunk).padStart(6, '0')}-${attempt}.json`;
}

/** Prefix of intermediate objects, which are deleted once the results are written. */
export function batchWorkPrefix(jobId: string): string {
  return `${batchPrefix(jobId)}work/`;
}

export function batchResultKey(jobId: string, format: string): string {
  return `${batchPrefix(jobId)}results.${format}`;
}
