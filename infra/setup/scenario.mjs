import { runSetup } from './run-setup.mjs';
import { isScenario, scenarios } from './scenarios.mjs';
import { createProgress } from './progress.mjs';

/** `npm run scenario -- <name>`: runs a scenario on the running stack. */
const [name] = process.argv.slice(2);
const progress = createProgress();
if (!isScenario(name)) {
  if (name !== undefined) progress.print(`There is no scenario ${name}.`);
  progress.print('npm run scenario -- <name> runs one of these on the running stack:');
  for (const [known, what] of Object.entries(scenarios)) progress.begin(known).end(what);
  process.exit(name === undefined ? 0 : 1);
}
await runSetup({ progress, purpose: 'start' });
// Imported after set-up, which builds it.
const entry = new URL('../../dist/infra/scenarios/main.js', import.meta.url);
const { main } = /** @type {{ main: (name: import('./scenarios.mjs').ScenarioName) => Promise<void> }} */ (
  await import(entry.href)
);
await main(name);
