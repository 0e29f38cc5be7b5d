import { runSetup } from './run-setup.mjs';
import { isScenario, scenarios } from './scenarios.mjs';
import { createStory } from './story.mjs';

/** `npm run scenario -- <name>`: plays a scenario through on the running stack. */
const [name] = process.argv.slice(2);
const story = createStory();
if (!isScenario(name)) {
  if (name !== undefined) story.say(`There is no scenario ${name}.`);
  story.say('npm run scenario -- <name> plays one of these through on the running stack:');
  for (const [known, what] of Object.entries(scenarios)) story.begin(known).end(what);
  process.exit(name === undefined ? 0 : 1);
}
await runSetup({ story, purpose: 'start' });
// Only now: a build product, as in start.mjs.
const entry = new URL('../../dist/infra/scenarios/main.js', import.meta.url);
const { main } = /** @type {{ main: (name: import('./scenarios.mjs').ScenarioName) => Promise<void> }} */ (
  await import(entry.href)
);
await main(name);
