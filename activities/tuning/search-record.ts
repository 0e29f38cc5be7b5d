import { hash } from 'node:crypto';
import type { ErrorCode } from '../../contracts/errors.js';
import { searchArtifacts, type TrialInput } from '../../contracts/experiments/tuning.js';
import { rungs } from '../../domain/experiments/successive-halving.js';
import { snakeKeys } from '../../domain/snake-keys.js';
import { drawSearch } from '../../model/tuning/draw-search.js';
import { writeSearchTable } from '../../model/tuning/search-table.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import { searchArtifactKey } from '../../stores/objects/object-keys.js';
import type { RunStore } from '../../stores/experiments/runs.js';
import type { SearchRecord, SearchStore } from '../../stores/experiments/searches.js';
import type { TrialStore } from '../../stores/experiments/trials.js';

export interface SearchDependencies {
  searches: SearchStore;
  trials: TrialStore;
  runs: Pick<RunStore, 'addArtifact'>;
  objects: Pick<ObjectStore, 'put'>;
  codeRevision: string;
}

/** Results of a rung. */
export interface RungEnd {
  searchId: string;
  failed: { input: TrialInput; workflowId: string; error: { code: ErrorCode; message: string } }[];
  /** Trials that do not continue. */
  stopped: number[];
  /** Trials that finished the last rung. */
  finished: number[];
  best: number | null;
}

export interface SearchEnd {
  searchId: string;
  /** The full training of the best trial; null when the search did not get that far. */
  trained: { runId: string; version: number } | null;
}

/** Stores the results of a rung, and publishes the chart and tables of the search so far. */
export async function endRung(
  deps: SearchDependencies,
  { searchId, failed, stopped, finished, best }: RungEnd,
): Promise<void> {
  const { searches, trials, codeRevision } = deps;
  for (const { input, workflowId, error } of failed) {
    await trials.recordFailure(input, { workflowId, codeRevision }, error);
  }
  await trials.endTrials(searchId, stopped, 'stopped');
  await trials.endTrials(searchId, finished, 'finished');
  if (best !== null) await searches.setBest(searchId, best);
  await publish(deps, searchId, null);
}

/** Ends the open trials of a search. Its chart and tables become artefacts of the trained run, if there is one. */
export async function closeSearch(deps: SearchDependencies, { searchId, trained }: SearchEnd): Promise<void> {
  await deps.trials.abandonTrials(searchId);
  if (trained) await deps.searches.setTrained(searchId, trained);
  await publish(deps, searchId, trained?.runId ?? null);
}

async function publish(deps: SearchDependencies, searchId: string, runId: string | null): Promise<void> {
  const search = await deps.searches.get(searchId);
  if (!search) return;
  const trials = await deps.searches.trials(searchId);
  const contents = {
    [searchArtifacts.chart]: drawSearch({ ...search, trials, rungEpochs: rungEpochsOf(search) }),
    [searchArtifacts.table]: writeSearchTable({ ...search, trials }),
    [searchArtifacts.data]: JSON.stringify(snakeKeys({ ...search, trials }), null, 2),
  };
  for (const [name, content] of Object.entries(contents)) {
    const bytes = Buffer.from(content);
    const objectKey = searchArtifactKey(searchId, name);
    await deps.objects.put(objectKey, bytes);
    if (runId === null) continue;
    const sha256 = hash('sha256', bytes);
    await deps.runs.addArtifact(runId, { name, objectKey, sha256, sizeBytes: bytes.length });
  }
}

function rungEpochsOf({ plannedTrials, budget }: SearchRecord): number[] {
  const { reductionFactor, minEpochs, maxEpochs } = budget;
  return rungs(plannedTrials, reductionFactor, minEpochs, maxEpochs).map(({ epochs }) => epochs);
}
