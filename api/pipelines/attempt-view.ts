import { z } from 'zod';
import { toSnake } from '../../contracts/http/snake-shape.js';
import { attemptViewSchema } from '../../contracts/pipelines/http-attempts.js';
import { stepOfActivity } from '../../domain/step-of-activity.js';
import type { AttemptRecord } from '../../stores/pipelines/attempts.js';
import type { PipelineRecord } from '../../stores/pipelines/pipelines.js';

type AttemptView = z.input<typeof attemptViewSchema>;

const lineSchema = z.looseObject({
  timestamp: z.string().nullable().default(null),
  level: z.string().default('info'),
  message: z.string().default(''),
});

/** Fields of a log line that the attempt contains already. */
const known: readonly string[] = ['module', 'activity', 'attempt', 'workflow_id'];

/** An attempt as JSON, with its log lines parsed. */
export function attemptView(pipeline: PipelineRecord, attempt: AttemptRecord): AttemptView {
  const { startedAt, endedAt } = attempt;
  return toSnake(attemptViewSchema, {
    ...attempt,
    activity: attempt.activityType,
    step: stepOfActivity(pipeline, attempt),
    durationMs: endedAt === null ? null : Math.max(0, Date.parse(endedAt) - Date.parse(startedAt)),
    log: attempt.log.map(lineView),
  });
}

function lineView(line: string): AttemptView['log'][number] {
  const parsed = lineSchema.safeParse(jsonOf(line));
  if (!parsed.success) return { at: null, level: 'info', message: line, fields: {} };
  const { timestamp, level, message, ...rest } = parsed.data;
  const fields = Object.fromEntries(Object.entries(rest).filter(([name]) => !known.includes(name)));
  return { at: timestamp, level, message, fields };
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
