import { messageOf } from '../../contracts/errors.js';
import { loadConfig } from '../../platform/config.js';
import { onStopRequest } from '../local/stop-request.js';
import { scenarios, type ScenarioName } from '../setup/scenarios.mjs';
import { createProgress, type Progress } from '../setup/progress.mjs';
import { degradation } from './degradation.js';
import { findStack } from './find-stack.js';
import { newData } from './new-data.js';
import { rollback } from './rollback.js';
import { withHarness, FailedAssertion, type Harness } from './harness.js';

/** Each plays itself through and gives what came true, a sentence each. */
const plays: Readonly<Record<ScenarioName, (stage: Harness) => Promise<string[]>>> = {
  degradation,
  'new-data': newData,
  rollback,
};

/** Plays a scenario on the running stack, and ends the process: with 1 when something has not come true. */
export async function main(name: ScenarioName): Promise<void> {
  const progress = createProgress({ nameWidth: 10 });
  const breaking = new AbortController();
  onStopRequest({
    stop: (reason) => {
      progress.print(`\nBroken off (${reason}); the model gets back what it had …`);
      breaking.abort();
      // The play ends the process, once everything is as it was.
      return new Promise(() => undefined);
    },
    kill: () => progress.print('The model may have kept the policy or the version of the scenario.'),
  });
  const isTrue = await playThrough(name, progress, breaking.signal);
  process.exit(isTrue ? 0 : 1);
}

async function playThrough(name: ScenarioName, progress: Progress, signal: AbortSignal): Promise<boolean> {
  const startedMs = performance.now();
  progress.print(`\n${name}: ${scenarios[name]}`);
  try {
    const apiUrl = findStack(loadConfig());
    const facts = await withHarness({ apiUrl, progress, signal }, plays[name]);
    progress.print(`\nIt came true, in ${((performance.now() - startedMs) / 1000).toFixed(1)} s:`);
    for (const fact of facts) progress.print(`  - ${fact}`);
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    const told = messageOf(error);
    progress.print(error instanceof FailedAssertion ? `\nIt did not come true that ${told}.` : `\n${told}`);
    return false;
  }
}
