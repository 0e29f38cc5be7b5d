import { z } from 'zod';
import { fromSnake, toSnake } from '../../contracts/http/snake-shape.js';
import { policyBodySchema } from '../../contracts/promotion/http-policies.js';
import { modelNameSchema } from '../../contracts/registry/registry.js';
import { actorOf } from '../access/actor.js';
import { defineRoute, json, jsonBody, type Route } from '../http/route.js';
import type { PolicyStore } from '../../stores/promotion/policies.js';

interface Dependencies {
  policies: Pick<PolicyStore, 'get' | 'set'>;
}

const path = '/api/v1/mlops/models/{name}/policy';
const params = z.object({ name: modelNameSchema });

/** The policy of a model: approval, promotion gate, retraining, guard, retention, serving. */
export function policyRoutes({ policies }: Dependencies): Route[] {
  return [
    defineRoute({
      method: 'get',
      path,
      operationId: 'getModelPolicy',
      summary: 'The policy of a model, with defaults for unset fields',
      tag: 'models',
      params,
      success: json(policyBodySchema, 'The policy'),
      problems: ['bad_request', 'database_unavailable'],
      handle: async ({ params: { name } }) => ({ body: toSnake(policyBodySchema, await policies.get(name)) }),
    }),
    defineRoute({
      method: 'put',
      path,
      operationId: 'setModelPolicy',
      summary: 'Replace the policy; omitted fields take their defaults',
      tag: 'models',
      audit: 'policy.set',
      params,
      body: jsonBody(policyBodySchema, { maxBytes: 100_000 }, true),
      success: json(policyBodySchema, 'The changed policy'),
      problems: ['bad_request', 'database_unavailable'],
      async handle({ params: { name }, body, request }) {
        await policies.set(name, fromSnake(policyBodySchema, body), actorOf(request));
        return { body: toSnake(policyBodySchema, await policies.get(name)) };
      },
    }),
  ];
}
