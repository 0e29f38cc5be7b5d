import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import { startRetentionSchema } from '../../contracts/retraining/http-schedules.js';
import { defineRoute, json, jsonBody, type Route } from '../http/route.js';
import { recordStart, accepted } from '../workflows/accepted.js';
import type { ApiSettings } from '../http/settings.js';
import type { AuditStore } from '../../stores/audit/audit.js';
import type { Logger } from '../../platform/logging.js';
import type { PipelineStarter } from '../workflows/pipeline-starter.js';
import type { PipelineStore } from '../../stores/pipelines/pipelines.js';
import type { TemporalUrl } from '../workflows/temporal-url.js';

interface Dependencies {
  starter: Pick<PipelineStarter, 'startRetention'>;
  pipelines: Pick<PipelineStore, 'get' | 'list'>;
  temporalUrl: TemporalUrl;
  settings: ApiSettings;
  audit: AuditStore;
  logger: Logger;
}

/** Manual retention: removes, or only counts, what the schedule would remove. */
export function retentionRoutes(dependencies: Dependencies): Route[] {
  const { starter, temporalUrl } = dependencies;
  return [
    defineRoute({
      method: 'post',
      path: '/api/v1/pipelines/retention',
      operationId: 'startRetention',
      summary: 'Apply retention now; counts only by default',
      tag: 'pipelines',
      audit: 'pipeline.start',
      body: jsonBody(startRetentionSchema, { maxBytes: 10_000 }),
      success: json(acceptedSchema, 'Started, or joined the one under way', 202),
      problems: ['bad_request', 'unsupported_type', 'temporal_unavailable'],
      async handle({ body, request }) {
        const input = { dryRun: body.dry_run, trigger: 'manual' } as const;
        const run = await starter.startRetention(input);
        await recordStart(dependencies, request, run, input);
        return accepted(run, temporalUrl);
      },
    }),
  ];
}
