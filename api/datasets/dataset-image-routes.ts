import { hash } from 'node:crypto';
import type { Request } from 'express';
import { z } from 'zod';
import {
  datasetChangeSchema,
  datasetImageViewSchema,
  editImageSchema,
  reasonSchema,
  type ImageChange,
} from '../../contracts/datasets/corrections.js';
import { nameSchema, sha256Schema } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { toSnake } from '../../contracts/http/snake-shape.js';
import { imageState } from '../../domain/datasets/image-state.js';
import type { DatasetEdits } from '../../stores/datasets/dataset-edits.js';
import type { DatasetImage, DatasetImageStore } from '../../stores/datasets/dataset-images.js';
import { actorOf } from '../access/actor.js';
import { defineRoute, json, jsonBody, type Reply, type Route } from '../http/route.js';
import { announceChange, planChange, type ChangePublisher } from './change-dataset.js';
import { imageUrl } from './image-routes.js';

interface Dependencies extends ChangePublisher {
  datasetImages: DatasetImageStore;
  datasetEdits: Pick<DatasetEdits, 'correct'>;
}

const path = '/api/v1/datasets/{name}/images/{sha256}';
const params = z.object({ name: nameSchema, sha256: sha256Schema });
const changeProblems = ['bad_request', 'not_found', 'conflict', 'precondition_failed', 'database_unavailable'] as const;

/** An image as a member of a dataset: look at it, relabel it, take it out. */
export function datasetImageRoutes(dependencies: Dependencies): Route[] {
  return [getRoute(dependencies), editRoute(dependencies), removeRoute(dependencies)];
}

function getRoute({ datasetImages }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path,
    operationId: 'getDatasetImage',
    summary: 'An image in a dataset: label, split, files, corrections',
    tag: 'datasets',
    params,
    success: json(datasetImageViewSchema, 'The image; send its ETag as If-Match'),
    problems: ['bad_request', 'not_found', 'database_unavailable'],
    handle: async ({ params: { name, sha256 } }) => withTag(await datasetImages.get(name, sha256)),
  });
}

function editRoute(dependencies: Dependencies): Route {
  return defineRoute({
    method: 'patch',
    path,
    operationId: 'editDatasetImage',
    summary: 'Relabel an image in a dataset, whatever its sources say; label null leaves it to the sources again',
    tag: 'datasets',
    audit: 'image.relabel',
    params,
    body: jsonBody(editImageSchema, { maxBytes: 10_000 }, true),
    success: json(datasetChangeSchema, 'The version with the label'),
    problems: [...changeProblems, 'unsupported_type'],
    handle: async ({ params: { name, sha256 }, body: { label, reason = null }, request }) => ({
      body: await change(dependencies, name, sha256, changeTo(label), reason, request),
    }),
  });
}

function removeRoute(dependencies: Dependencies): Route {
  return defineRoute({
    method: 'delete',
    path,
    operationId: 'removeDatasetImage',
    summary: 'Take an image out of a dataset; it stays stored, and a PATCH with a label or null puts it back',
    tag: 'datasets',
    audit: 'image.remove',
    params,
    query: z.object({ reason: reasonSchema.optional() }),
    success: json(datasetChangeSchema, 'The version without the image'),
    problems: changeProblems,
    handle: async ({ params: { name, sha256 }, query: { reason = null }, request }) => ({
      body: await change(dependencies, name, sha256, { action: 'remove' }, reason, request),
    }),
  });
}

function changeTo(label: string | null): ImageChange {
  return label === null ? { action: 'restore' } : { action: 'relabel', label: label.normalize('NFC') };
}

async function change(
  dependencies: Dependencies,
  dataset: string,
  sha256: string,
  wanted: ImageChange,
  reason: string | null,
  request: Request,
): Promise<z.input<typeof datasetChangeSchema>> {
  const check = (image: DatasetImage): void => requireMatch(request, image);
  const correcting = { dataset, sha256, change: wanted, reason, by: actorOf(request), check };
  const edited = await dependencies.datasetEdits.correct(correcting, planChange(dataset));
  return announceChange(dependencies, dataset, edited);
}

function withTag(image: DatasetImage): Reply<z.input<typeof datasetImageViewSchema>> {
  const { dataset, sha256, currentVersion, holders } = image;
  const view = toSnake(datasetImageViewSchema, {
    ...image,
    version: currentVersion,
    state: imageState(image),
    imageUrl: imageUrl(sha256),
    files: holders,
  });
  return { body: { ...view, dataset }, headers: { ETag: tagOf(image), 'Cache-Control': 'no-cache' } };
}

/** Changes with the label, the last correction, and what the sources say. */
function tagOf({ sha256, label, holders, corrections }: DatasetImage): string {
  const labels = holders.map((holder) => [holder.sourceId, holder.label]);
  return `"${hash('sha256', JSON.stringify([sha256, label, corrections[0]?.id ?? 0, labels])).slice(0, 16)}"`;
}

function requireMatch(request: Request, image: DatasetImage): void {
  const header = request.get('if-match')?.trim();
  if (header === undefined || header === '*') return;
  if (header.split(',').some((tag) => tag.trim() === tagOf(image))) return;
  throw new PerennialError(
    'precondition_failed',
    `The image ${image.sha256} of dataset ${image.dataset} changed since its ETag was read: its label is ${image.label ?? 'none'} now. Read it again.`,
  );
}
