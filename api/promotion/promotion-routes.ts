import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import {
  promoteSchema,
  promotionUnderWaySchema,
  promotionViewSchema,
  rollbackSchema,
  rollbackViewSchema,
} from '../../contracts/promotion/http-promotions.js';
import { acceptedSchema } from '../../contracts/workflows/accepted.js';
import type { ModelPolicy } from '../../contracts/promotion/policy.js';
import {
  modelNameSchema,
  versionReferenceSchema,
  type Decision,
  type ModelVersion,
} from '../../contracts/registry/registry.js';
import { approvalQuestion } from '../../domain/promotion/promotion-gate.js';
import { actorOf } from '../access/actor.js';
import { idempotencyKeyOf } from '../http/idempotency-key.js';
import { recordChange } from '../audit/record-change.js';
import { settleReplicas } from './settle-replicas.js';
import type { StartedPromotion, PromotionClient } from './promotion-client.js';
import { defineRoute, json, jsonBody, type Reply, type Route } from '../http/route.js';
import { accepted } from '../workflows/accepted.js';
import type { ApiSettings } from '../http/settings.js';
import type { AuditStore } from '../../stores/audit/audit.js';
import type { Logger } from '../../platform/logging.js';
import type { PipelineStarter } from '../workflows/pipeline-starter.js';
import type { PolicyStore } from '../../stores/promotion/policies.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import type { TemporalUrl } from '../workflows/temporal-url.js';

interface Dependencies {
  registry: Pick<RegistryStore, 'get' | 'liveReplicas' | 'requirePromotable' | 'resolve' | 'rollBack' | 'servingState'>;
  policies: Pick<PolicyStore, 'get'>;
  promoter: Pick<PromotionClient, 'promote'>;
  starter: Pick<PipelineStarter, 'startValidation'>;
  audit: AuditStore;
  logger: Logger;
  settings: Pick<ApiSettings, 'modelName'>;
  temporalUrl: TemporalUrl;
}

const limit = { maxBytes: 100_000 };

/** Manual changes of Production. */
export function promotionRoutes(dependencies: Dependencies): Route[] {
  return [promoteRoute(dependencies), rollbackRoute(dependencies), validateRoute(dependencies)];
}

function promoteRoute({ registry, policies, promoter, settings }: Dependencies): Route {
  return defineRoute({
    method: 'post',
    path: '/api/v1/mlops/models/promote',
    operationId: 'promoteModelVersion',
    summary: 'Promote a version: exactly once per Idempotency-Key, verified on every replica',
    tag: 'models',
    audit: 'model.promote',
    body: jsonBody(promoteSchema, limit, true),
    success: json(
      z.union([promotionViewSchema, promotionUnderWaySchema]),
      'The version serves; 202 while the promotion waits for approval or replicas',
    ),
    problems: [
      'bad_request',
      'not_found',
      'conflict',
      'version_without_file',
      'stale_promotion',
      'smoke_test_failed',
      'temporal_unavailable',
      'database_unavailable',
    ],
    async handle({ body, request }) {
      const modelName = body.model_name ?? settings.modelName;
      const { generation } = await registry.servingState(modelName);
      const version = await registry.get(modelName, body.version);
      const by = actorOf(request);
      const idempotencyKey = `${modelName}/${idempotencyKeyOf(request)}`;
      // Checked here as well as in the transaction, so that a correctable request does not become a failed run.
      await registry.requirePromotable({ modelName, version: version.version, idempotencyKey });
      const started = await promoter.promote({
        modelName,
        version: version.version,
        actor: by.name,
        by,
        reason: reasonOf(version, body.reason),
        idempotencyKey,
        decision: decisionFor(version, body.override, await policies.get(modelName)),
        expectedGeneration: body.expected_generation ?? generation,
      });
      return promotionReply(version, started);
    },
  });
}

/** The stored decision under the current policy. Throws `conflict` if the version must not be promoted, with the remedy. */
function decisionFor(
  { modelName, version, stage, ...judged }: ModelVersion,
  override: boolean,
  { approval }: ModelPolicy,
): Decision | null {
  // This key has promoted it already: return that result.
  if (stage !== 'Staging') return null;
  const decision = newestValidation(judged);
  if (!decision) {
    throw new PerennialError(
      'conflict',
      `Version ${version} of ${modelName} was never validated. Validate it first: POST /api/v1/mlops/models/${modelName}/versions/${version}/validate.`,
    );
  }
  if (decision.outcome === 'refuse' && !override) {
    throw new PerennialError(
      'conflict',
      `Validation refused version ${version} of ${modelName}. ${decision.summary} Send "override": true to promote it nevertheless.`,
    );
  }
  const question = approvalQuestion(decision, approval);
  if (question === null) return null;
  return { ...decision, outcome: 'needs_approval', summary: `Needs approval: ${question}.` };
}

/** The history shows that a refusal was overridden. */
function reasonOf(version: ModelVersion, reason: string): string {
  const decision = newestValidation(version);
  return decision?.outcome === 'refuse' ? `${reason} (overrides a refusal: ${decision.summary})` : reason;
}

/** A version that serves again keeps the decision of its promotion; a new promotion follows its newest validation. */
function newestValidation({
  decision,
  lastValidation,
}: Pick<ModelVersion, 'decision' | 'lastValidation'>): Decision | null {
  return lastValidation ?? decision;
}

function promotionReply(
  { modelName, version }: ModelVersion,
  { run, result, isWaiting }: StartedPromotion,
): Reply<z.input<typeof promotionViewSchema> | z.input<typeof promotionUnderWaySchema>> {
  const pipelineUrl = `/api/v1/pipelines/${run.runId}`;
  const about = { model_name: modelName, version: String(version), pipeline_url: pipelineUrl };
  if (result === null) {
    const detail = isWaiting
      ? `It waits for approval: POST ${pipelineUrl}/approve or /reject.`
      : 'The promotion is still running; see `pipeline_url` for its outcome.';
    return { status: 202, headers: { Location: pipelineUrl }, body: { outcome: 'waiting', detail, ...about } };
  }
  const { outcome, detail, formerVersion, generation, replicas } = result;
  if (outcome === 'stale') throw new PerennialError('stale_promotion', detail);
  if (outcome === 'rolled_back') {
    throw new PerennialError('smoke_test_failed', `The promotion was rolled back: ${detail}`);
  }
  const former = formerVersion === null ? null : String(formerVersion);
  return { body: { ...about, outcome, detail, former_version: former, generation, replicas } };
}

function rollbackRoute({ registry }: Dependencies): Route {
  return defineRoute({
    method: 'post',
    path: '/api/v1/mlops/models/{name}/rollback',
    operationId: 'rollBackModel',
    summary: 'Roll back to the previous version, or to one that served before',
    tag: 'models',
    audit: 'model.roll_back',
    params: z.object({ name: modelNameSchema }),
    body: jsonBody(rollbackSchema, limit, true),
    success: json(rollbackViewSchema, 'The version that serves again'),
    problems: [
      'bad_request',
      'not_found',
      'conflict',
      'version_without_file',
      'stale_promotion',
      'database_unavailable',
    ],
    async handle({ params: { name }, body, request }) {
      const startedAt = performance.now();
      const { generation } = await registry.servingState(name);
      const moved = await registry.rollBack({
        modelName: name,
        version: body.version ?? null,
        by: actorOf(request),
        reason: body.reason,
        idempotencyKey: `${name}/${idempotencyKeyOf(request)}`,
        expectedGeneration: body.expected_generation ?? generation,
      });
      const replicas = await settleReplicas(registry, name, moved.generation, startedAt);
      return {
        body: {
          model_name: name,
          version: String(moved.version),
          former_version: String(moved.formerVersion),
          generation: moved.generation,
          replicas,
          duration_ms: Math.round(performance.now() - startedAt),
          repeated: moved.repeated,
        },
      };
    },
  });
}

function validateRoute(dependencies: Dependencies): Route {
  const { registry, starter, temporalUrl } = dependencies;
  return defineRoute({
    method: 'post',
    path: '/api/v1/mlops/models/{name}/versions/{version}/validate',
    operationId: 'validateModelVersion',
    summary: 'Run the promotion gate on a version again, against the current Production',
    tag: 'models',
    audit: 'version.validate',
    params: z.object({ name: modelNameSchema, version: versionReferenceSchema }),
    success: json(acceptedSchema, 'Started, or joined the one under way', 202),
    problems: ['bad_request', 'not_found', 'version_without_file', 'temporal_unavailable', 'database_unavailable'],
    async handle({ params: { name, version: reference }, request }) {
      const { version } = await registry.resolve(name, reference);
      const run = await starter.startValidation({ modelName: name, version });
      await recordChange(dependencies, {
        by: actorOf(request),
        action: 'version.validate',
        subject: `models/${name}/versions/${version}`,
        after: { workflow_id: run.workflowId, run_id: run.runId, joined: run.joined },
      });
      return accepted(run, temporalUrl);
    },
  });
}
