import { createProgress } from './progress.mjs';
import { runSetup } from './run-setup.mjs';

await runSetup({ progress: createProgress(), purpose: 'start' });
// Only now: what it needs exists since set-up, and it is a build product that no import may name beforehand.
const entry = new URL('../../dist/infra/local/main.js', import.meta.url);
const { main } = /** @type {{ main: () => Promise<void> }} */ (await import(entry.href));
await main();
