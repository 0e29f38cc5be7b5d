import type { Request } from 'express';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { retireSchema, retirementViewSchema } from '../../contracts/promotion/http-promotions.js';
import { modelNameSchema } from '../../contracts/registry/registry.js';
import { actorOf } from '../access/actor.js';
import { idempotencyKeyOf } from '../http/idempotency-key.js';
import { defineRoute, json, jsonBody, type Route } from '../http/route.js';
import { allowedRevisions } from '../registry/version-etag.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import { settleReplicas } from './settle-replicas.js';

interface Dependencies {
  registry: Pick<RegistryStore, 'liveReplicas' | 'retire' | 'servingState'>;
}

/** The end of serving a model, on purpose. */
export function retireRoutes({ registry }: Dependencies): Route[] {
  return [
    defineRoute({
      method: 'post',
      path: '/api/v1/mlops/models/{name}/retire',
      operationId: 'retireModel',
      summary: 'Take a model out of service: Production becomes empty, until a person promotes a version',
      tag: 'models',
      audit: 'model.retire',
      params: z.object({ name: modelNameSchema }),
      body: jsonBody(retireSchema, { maxBytes: 100_000 }, true),
      success: json(retirementViewSchema, 'Nothing of the model is served any more'),
      problems: [
        'bad_request',
        'not_found',
        'conflict',
        'stale_promotion',
        'precondition_failed',
        'database_unavailable',
      ],
      async handle({ params: { name }, body, request }) {
        const startedAt = performance.now();
        const by = actorOf(request);
        const retired = await registry.retire({
          modelName: name,
          by,
          reason: body.reason,
          idempotencyKey: `${name}/${idempotencyKeyOf(request)}`,
          expectedGeneration: body.expected_generation ?? (await decidedOn(registry, name, request)),
        });
        const replicas = await settleReplicas(registry, name, retired.generation, startedAt);
        return {
          body: {
            model_name: name,
            version: String(retired.version),
            generation: retired.generation,
            by: by.name,
            reason: body.reason,
            replicas: replicas.map(({ url, serves }) => ({ url, unloaded: serves })),
            duration_ms: Math.round(performance.now() - startedAt),
            repeated: retired.repeated,
          },
        };
      },
    }),
  ];
}

/** The generation at the request; with `If-Match`, of the version whose ETag it has. Throws `precondition_failed`. */
async function decidedOn(registry: Dependencies['registry'], modelName: string, request: Request): Promise<number> {
  const { generation, version } = await registry.servingState(modelName);
  if (version === null) return generation;
  const allowed = allowedRevisions(request, version.version);
  if (allowed === null || allowed.includes(version.revision)) return generation;
  throw new PerennialError(
    'precondition_failed',
    `Version ${version.version} of ${modelName} is in Production, and it is not the state whose ETag If-Match holds. Read it again, then decide again.`,
  );
}
