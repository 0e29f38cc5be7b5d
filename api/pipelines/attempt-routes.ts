import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { attemptViewSchema } from '../../contracts/pipelines/http-attempts.js';
import { pageOf } from '../../contracts/http/page.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, json, type Route } from '../http/route.js';
import { attemptView } from './attempt-view.js';
import type { AttemptStore } from '../../stores/pipelines/attempts.js';
import type { PipelineStore } from '../../stores/pipelines/pipelines.js';

interface Dependencies {
  pipelines: Pick<PipelineStore, 'get'>;
  attempts: Pick<AttemptStore, 'list'>;
}

/** The activity attempts of a run, with log and error. */
export function pipelineAttemptRoutes({ pipelines, attempts }: Dependencies): Route[] {
  return [
    defineRoute({
      method: 'get',
      path: '/api/v1/pipelines/{run_id}/attempts',
      operationId: 'listPipelineAttempts',
      summary: 'Activity attempts of a run and its child workflows, oldest first',
      tag: 'pipelines',
      params: z.object({ run_id: z.string().max(200) }),
      query: pageQuery,
      success: json(pageOf(attemptViewSchema), 'A page of attempts with their logs and errors'),
      problems: ['bad_request', 'not_found', 'database_unavailable'],
      async handle({ params, query: { limit, page_token: pageToken } }) {
        const pipeline = await pipelines.get(params.run_id);
        if (!pipeline) {
          throw new PerennialError('not_found', `There is no run ${params.run_id}; GET /api/v1/pipelines lists them.`);
        }
        const page = await attempts.list(pipeline.id, { limit, pageToken: pageToken ?? null });
        return {
          body: {
            items: page.items.map((attempt) => attemptView(pipeline, attempt)),
            next_page_token: page.nextPageToken,
          },
          headers: { 'Cache-Control': 'no-store' },
        };
      },
    }),
  ];
}
