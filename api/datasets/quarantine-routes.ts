import { z } from 'zod';
import { nameSchema, quarantineReasonSchema } from '../../contracts/datasets/datasets.js';
import { openConflictViewSchema, refusedFileViewSchema } from '../../contracts/datasets/http-datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { pageOf } from '../../contracts/http/page.js';
import { toSnake } from '../../contracts/http/snake-shape.js';
import type { RefusalStore, RefusedFile } from '../../stores/datasets/refusals.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, json, text, type Route } from '../http/route.js';
import { sendObject } from '../http/send.js';

interface Dependencies {
  refusals: RefusalStore;
  objects: Pick<ObjectStore, 'open'>;
}

const filesPath = '/api/v1/datasets/{name}/uploads/{upload_id}/files/{position}';
const params = z.object({ name: nameSchema });
const query = pageQuery.extend({
  run_id: z.string().max(200).optional().describe('the ingestion that refused the files'),
  reason: quarantineReasonSchema.optional(),
});

/** What ingestions refused, also when no version was made. */
export function quarantineRoutes(dependencies: Dependencies): Route[] {
  return [filesRoute(dependencies), conflictsRoute(dependencies), bytesRoute(dependencies)];
}

function filesRoute({ refusals }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/datasets/{name}/quarantine',
    operationId: 'listQuarantine',
    summary: 'Refused files of the sources of a dataset, also of an ingestion that failed or made no version',
    tag: 'datasets',
    params,
    query,
    success: json(pageOf(refusedFileViewSchema), 'A page of refused files, those of the latest ingestion first'),
    problems: ['bad_request', 'database_unavailable'],
    async handle({ params: { name }, query: { limit, page_token, run_id, reason } }) {
      const page = await refusals.files(name, { limit, pageToken: page_token ?? null, runId: run_id, reason });
      const items = page.items.map((file) => toSnake(refusedFileViewSchema, { ...file, fileUrl: fileUrl(name, file) }));
      return { body: { items, next_page_token: page.nextPageToken } };
    },
  });
}

function fileUrl(name: string, { locator, position }: RefusedFile): string | null {
  return position === null ? null : `/api/v1/datasets/${name}/uploads/${locator}/files/${position}`;
}

function conflictsRoute({ refusals }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/datasets/{name}/conflicts',
    operationId: 'listConflicts',
    summary: 'Images that the sources of a dataset hold under several labels, and that are therefore excluded',
    tag: 'datasets',
    params,
    query: pageQuery,
    success: json(pageOf(openConflictViewSchema), 'A page of conflicts'),
    problems: ['bad_request', 'database_unavailable'],
    async handle({ params: { name }, query: { limit, page_token } }) {
      const page = await refusals.conflicts(name, { limit, pageToken: page_token ?? null });
      return { body: { items: page.items, next_page_token: page.nextPageToken } };
    },
  });
}

function bytesRoute({ refusals, objects }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: filesPath,
    operationId: 'getRefusedUpload',
    summary: 'The bytes of an uploaded file that its ingestion refused',
    tag: 'datasets',
    params: params.extend({ upload_id: z.uuid(), position: z.coerce.number().int().min(0).max(999_999) }),
    success: text('application/octet-stream', 'The file as it was sent'),
    problems: ['bad_request', 'not_found', 'database_unavailable', 'object_store_unavailable'],
    async handle({ params: { name, upload_id, position }, request, response }) {
      const file = await refusals.upload(name, upload_id, position);
      if (!file) {
        throw new PerennialError(
          'not_found',
          `No refused file ${position} of upload ${upload_id} is stored. Accepted files are images of the dataset; refused ones are stored for 30 days.`,
        );
      }
      const headers = {
        ETag: `"${upload_id}-${position}"`,
        'Cache-Control': 'no-store',
        // Nobody checked these bytes: they are a download, never a page.
        'Content-Type': 'application/octet-stream',
        'Content-Disposition': `attachment; filename*=UTF-8''${encodeURIComponent(file.name)}`,
        'Content-Length': String(file.sizeBytes),
      };
      await sendObject(request, response, headers, () => objects.open(file.objectKey));
      return { body: '' };
    },
  });
}
