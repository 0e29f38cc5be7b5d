import { livenessSchema, readinessSchema, healthSchema } from '../../contracts/http/health.js';
import { anyQuery, defineRoute, json, text, type Route } from '../http/route.js';
import type { HealthReporter } from './health.js';

/** The text exposition format, and its content type. */
export interface MetricsExposition {
  expose(): Promise<{ contentType: string; text: string }>;
}

interface Dependencies {
  health: Pick<HealthReporter, 'readiness' | 'report'>;
  metrics: MetricsExposition;
}

/** Health of the process and its dependencies. */
export function healthRoutes({ health, metrics }: Dependencies): Route[] {
  return [...stateRoutes(health), metricsRoute(metrics)];
}

function stateRoutes(health: Dependencies['health']): Route[] {
  return [
    defineRoute({
      method: 'get',
      path: '/health',
      operationId: 'getHealth',
      summary: 'Health of the API, the model and each dependency',
      tag: 'operation',
      kind: 'probe',
      success: json(healthSchema, 'The health; 200 also if a dependency is down'),
      problems: [],
      handle: async () => ({ body: await health.report(), headers: { 'Cache-Control': 'no-store' } }),
    }),
    defineRoute({
      method: 'get',
      path: '/health/live',
      operationId: 'getLiveness',
      summary: 'Liveness',
      tag: 'operation',
      kind: 'probe',
      success: json(livenessSchema, 'The process is running'),
      problems: [],
      handle: () => ({ body: { status: 'ok' as const } }),
    }),
    defineRoute({
      method: 'get',
      path: '/health/ready',
      operationId: 'getReadiness',
      summary: 'Readiness to receive requests; independent of a model',
      tag: 'operation',
      kind: 'probe',
      success: { ...json(readinessSchema, 'Ready; 503 with the same body if not'), otherStatuses: [503] },
      problems: [],
      handle() {
        const body = health.readiness();
        return { body, status: body.status === 'ready' ? 200 : 503 };
      },
    }),
  ];
}

function metricsRoute(metrics: Dependencies['metrics']): Route {
  return defineRoute({
    method: 'get',
    path: '/metrics',
    operationId: 'getMetrics',
    summary: 'Metrics for Prometheus',
    tag: 'operation',
    query: anyQuery,
    kind: 'probe',
    success: text('text/plain', 'Text exposition format'),
    problems: [],
    async handle() {
      const { contentType, text: body } = await metrics.expose();
      return { body, headers: { 'Content-Type': contentType } };
    },
  });
}
