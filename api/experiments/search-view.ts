import type { z } from 'zod';
import {
  searchSummaryViewSchema,
  searchViewSchema,
  tuningResultViewSchema,
  type TuningResultView,
} from '../../contracts/experiments/http-tuning.js';
import type { TuningResult } from '../../contracts/experiments/tuning.js';
import { toSnake, type CamelInput } from '../../contracts/http/snake-shape.js';
import type { SearchRecord, TrialRecord } from '../../stores/experiments/searches.js';

/** A search without its trials, as JSON. */
export function searchSummaryView(search: SearchRecord): z.input<typeof searchSummaryViewSchema> {
  return toSnake(searchSummaryViewSchema, summaryOf(search));
}

/** A search with every trial. */
export function searchView(search: SearchRecord, trials: TrialRecord[]): z.input<typeof searchViewSchema> {
  const best = trials.find(({ number }) => number === search.bestTrial) ?? null;
  return toSnake(searchViewSchema, { ...summaryOf(search), space: search.space, best, trials });
}

/** The result of a search. */
export function tuningView(result: TuningResult): TuningResultView {
  return toSnake(tuningResultViewSchema, { ...result, testAccuracy: result.test.accuracy });
}

function summaryOf(search: SearchRecord): CamelInput<typeof searchSummaryViewSchema> {
  const endedAt = search.endedAt === null ? Date.now() : Date.parse(search.endedAt);
  const url = `/api/v1/searches/${search.runId}`;
  return {
    ...search,
    used: {
      trials: search.startedTrials,
      ofTrials: search.plannedTrials,
      epochs: search.trainedEpochs,
      seconds: Math.max(0, endedAt - Date.parse(search.startedAt)) / 1000,
    },
    chartUrl: `${url}/chart.svg`,
    tableUrl: `${url}/table.md`,
  };
}
