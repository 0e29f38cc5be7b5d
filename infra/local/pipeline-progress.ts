import type { z } from 'zod';
import type { pipelineStepSchema } from '../../contracts/pipelines/http-pipelines.js';
import type { Step, Progress } from '../setup/progress.mjs';

type PipelineStep = z.infer<typeof pipelineStepSchema>;

/**
 * Prints the steps of a polled pipeline: each running step with its detail, and each ended step once, with its
 * duration.
 */
export function createStepReporter(progress: Progress): (steps: readonly PipelineStep[]) => void {
  const begun = new Map<string, Step>();
  const ended = new Set<string>();
  return (steps) => {
    for (const step of steps) {
      if (step.status === 'pending' || ended.has(step.name)) continue;
      if (step.status === 'running') {
        const line = begun.get(step.name) ?? progress.begin(step.name);
        if (!begun.has(step.name)) line.start();
        begun.set(step.name, line);
        line.progress(step.detail ?? '…');
      } else {
        ended.add(step.name);
        (begun.get(step.name) ?? progress.begin(step.name)).end(describe(step), durationMs(step));
      }
    }
  };
}

function describe({ status, detail }: PipelineStep): string {
  const text = detail ?? '';
  if (status === 'completed') return text === '' ? 'done' : text;
  return text === '' ? status : `${status}: ${text}`;
}

function durationMs({ started_at, ended_at }: PipelineStep): number {
  return started_at === null || ended_at === null ? 0 : Date.parse(ended_at) - Date.parse(started_at);
}
