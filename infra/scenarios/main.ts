import { messageOf } from '../../contracts/errors.js';
import { loadConfig } from '../../platform/config.js';
import { onStopRequest } from '../local/stop-request.js';
import { scenarios, type ScenarioName } from '../setup/scenarios.mjs';
import { createProgress, type Progress } from '../setup/progress.mjs';
import { degradation } from './degradation.js';
import { findStack } from './find-stack.js';
import { newData } from './new-data.js';
import { rollback } from './rollback.js';
import { withHarness, FailedExpectation, type Harness } from './harness.js';

/** Each runs a scenario and returns its results, one sentence each. */
const runners: Readonly<Record<ScenarioName, (harness: Harness) => Promise<string[]>>> = {
  degradation,
  'new-data': newData,
  rollback,
};

/** Runs a scenario on the running stack and exits: with 0, or with 1 when an expectation was not met. */
export async function main(name: ScenarioName): Promise<void> {
  const progress = createProgress({ nameWidth: 10 });
  const interrupting = new AbortController();
  onStopRequest({
    stop: (reason) => {
      progress.print(`\nInterrupted (${reason}); restoring the model version and its policy …`);
      interrupting.abort();
      // `main` exits once everything is restored.
      return new Promise(() => undefined);
    },
    kill: () => progress.print('The model may still have the policy or the version of the scenario.'),
  });
  const succeeded = await runScenario(name, progress, interrupting.signal);
  process.exit(succeeded ? 0 : 1);
}

async function runScenario(name: ScenarioName, progress: Progress, signal: AbortSignal): Promise<boolean> {
  const startedMs = performance.now();
  progress.print(`\n${name}: ${scenarios[name]}`);
  try {
    const apiUrl = findStack(loadConfig());
    const results = await withHarness({ apiUrl, progress, signal }, runners[name]);
    progress.print(`\nThe scenario succeeded in ${((performance.now() - startedMs) / 1000).toFixed(1)} s:`);
    for (const result of results) progress.print(`  - ${result}`);
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    const message = messageOf(error);
    progress.print(
      error instanceof FailedExpectation ? `\nThe scenario failed. Expected: ${message}.` : `\n${message}`,
    );
    return false;
  }
}
