import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';
import { answerSchema, approvalViewSchema, type ApprovalView } from '../../contracts/promotion/http-promotions.js';
import { toSnake } from '../../contracts/http/snake-shape.js';
import { pageOf } from '../../contracts/http/page.js';
import { approvalOutcomes, modelNameSchema } from '../../contracts/registry/registry.js';
import type { ApprovalRecord, ApprovalStore } from '../../stores/promotion/approvals.js';
import { actorOf } from '../access/actor.js';
import { pageQuery } from '../http/page-query.js';
import { defineRoute, json, jsonBody, type Route } from '../http/route.js';
import type { PromotionClient } from './promotion-client.js';

interface Dependencies {
  approvals: Pick<ApprovalStore, 'latestIn' | 'list'>;
  promoter: Pick<PromotionClient, 'answer'>;
}

/** Approvals of promotions. */
export function approvalRoutes(dependencies: Dependencies): Route[] {
  return [listRoute(dependencies), answerRoute(dependencies, true), answerRoute(dependencies, false)];
}

function listRoute({ approvals }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: '/api/v1/approvals',
    operationId: 'listApprovals',
    summary: 'Approvals, newest first, each with its comparison',
    tag: 'models',
    query: pageQuery.extend({ model: modelNameSchema.optional(), outcome: z.enum(approvalOutcomes).optional() }),
    success: json(pageOf(approvalViewSchema), 'A page of approvals'),
    problems: ['bad_request', 'database_unavailable'],
    async handle({ query: { limit, page_token: pageToken, model, outcome } }) {
      const page = await approvals.list({
        limit,
        pageToken: pageToken ?? null,
        ...(model !== undefined && { modelName: model }),
        ...(outcome !== undefined && { outcome }),
      });
      return { body: { items: page.items.map(approvalView), next_page_token: page.nextPageToken } };
    },
  });
}

function answerRoute({ approvals, promoter }: Dependencies, isApproved: boolean): Route {
  const verb = isApproved ? 'approve' : 'reject';
  return defineRoute({
    method: 'post',
    path: `/api/v1/pipelines/{run_id}/${verb}`,
    operationId: `${verb}Pipeline`,
    summary: isApproved ? 'Approve the waiting promotion of a run' : 'Reject the waiting promotion of a run',
    tag: 'pipelines',
    audit: isApproved ? 'approval.approved' : 'approval.rejected',
    params: z.object({ run_id: z.string().max(200) }),
    body: jsonBody(answerSchema, { maxBytes: 100_000 }),
    success: json(approvalViewSchema, 'The approval with its answer'),
    problems: ['bad_request', 'not_found', 'conflict', 'temporal_unavailable', 'database_unavailable'],
    async handle({ params, body, request }) {
      const approval = await approvals.latestIn(params.run_id);
      if (!approval) {
        throw new PerennialError('not_found', `Run ${params.run_id} has no approval; GET /api/v1/approvals lists all.`);
      }
      const verdict = { by: actorOf(request), comment: body.comment ?? null };
      await promoter.answer(approval.workflowId, isApproved, verdict);
      return { body: approvalView((await approvals.latestIn(params.run_id)) ?? approval) };
    },
  });
}

function approvalView(approval: ApprovalRecord): ApprovalView {
  return toSnake(approvalViewSchema, { ...approval, pipelineUrl: `/api/v1/pipelines/${approval.pipelineRunId}` });
}
