import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { shedReasons as engineShedReasons } from '../../model/serving/admission.js';

export const latencyBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const shedReasons = [...engineShedReasons, 'memory', 'explanations', 'uploads'] as const;

export interface RequestFacts {
  method: string;
  /** Route template, never a URL. */
  route: string;
  status: number;
  seconds: number;
}

/** Accepts series of rooms that are created after the metrics. */
export interface SeriesRegistry {
  addSeries(add: (registry: Registry) => void): void;
}

export interface RequestMetrics {
  countRequest(facts: RequestFacts): void;
  countShed(reason: (typeof shedReasons)[number]): void;
  setReady(isReady: boolean): void;
}

export function createRequestMetrics(registry: Registry): RequestMetrics {
  const registers = [registry];
  const labelNames = ['method', 'route', 'status'] as const;
  const total = new Counter({ name: 'mlops_api_requests_total', help: 'Requests answered', labelNames, registers });
  const duration = new Histogram({
    name: 'mlops_api_request_duration_seconds',
    help: 'Time from the first byte of a request to the end of its answer',
    labelNames,
    buckets: latencyBuckets,
    registers,
  });
  const shed = new Counter({
    name: 'mlops_requests_shed_total',
    help: 'Requests refused to keep the others fast',
    labelNames: ['reason'],
    registers,
  });
  for (const reason of shedReasons) shed.inc({ reason }, 0);
  const status = new Gauge({ name: 'api_status', help: '1 when the API can take requests', registers });
  return {
    countRequest({ method, route, status: code, seconds }) {
      const labels = { method, route, status: String(code) };
      total.inc(labels);
      duration.observe(labels, seconds);
    },
    countShed: (reason) => shed.inc({ reason }),
    setReady: (isReady) => status.set(isReady ? 1 : 0),
  };
}
