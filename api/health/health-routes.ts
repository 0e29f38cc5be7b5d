import { livenessSchema, readinessSchema } from '../../contracts/http/health.js';
import { healthSchema } from '../../contracts/http/health.js';
import { defineRoute, json, nothing, text, type Route } from '../http/route.js';
import type { HealthReporter } from './health.js';

/** The text exposition format, and its content type. */
export interface MetricsExposition {
  expose(): Promise<{ contentType: string; text: string }>;
}

interface Dependencies {
  health: Pick<HealthReporter, 'readiness' | 'report'>;
  metrics: MetricsExposition;
}

/** How the process and what it depends on are doing. */
export function healthRoutes({ health, metrics }: Dependencies): Route[] {
  return [...stateRoutes(health), metricsRoute(metrics)];
}

function stateRoutes(health: Dependencies['health']): Route[] {
  return [
    defineRoute({
      ...nothing,
      method: 'get',
      path: '/health',
      operationId: 'getHealth',
      summary: 'State of the API, the model and each dependency',
      tag: 'operation',
      success: json(healthSchema, 'The state; 200 also when something is down'),
      problems: [],
      handle: async () => ({ body: await health.report(), headers: { 'Cache-Control': 'no-store' } }),
    }),
    defineRoute({
      ...nothing,
      method: 'get',
      path: '/health/live',
      operationId: 'getLiveness',
      summary: 'Whether the process runs',
      tag: 'operation',
      success: json(livenessSchema, 'It does'),
      problems: [],
      handle: () => ({ body: { status: 'ok' as const } }),
    }),
    defineRoute({
      ...nothing,
      method: 'get',
      path: '/health/ready',
      operationId: 'getReadiness',
      summary: 'Whether requests can be sent here; needs no model',
      tag: 'operation',
      success: { ...json(readinessSchema, 'They can; 503 with the same body when they cannot'), otherStatuses: [503] },
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
    ...nothing,
    method: 'get',
    path: '/metrics',
    operationId: 'getMetrics',
    summary: 'Metrics for Prometheus',
    tag: 'operation',
    success: text('text/plain', 'Text exposition format'),
    problems: [],
    async handle() {
      const { contentType, text: body } = await metrics.expose();
      return { body, headers: { 'Content-Type': contentType } };
    },
  });
}
