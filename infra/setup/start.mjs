import { createProgress } from './progress.mjs';
import { runSetup } from './run-setup.mjs';

await runSetup({ progress: createProgress(), purpose: 'start' });
// Imported after set-up, which installs its dependencies and builds it.
const entry = new URL('../../dist/infra/local/main.js', import.meta.url);
const { main } = /** @type {{ main: () => Promise<void> }} */ (await import(entry.href));
await main();
