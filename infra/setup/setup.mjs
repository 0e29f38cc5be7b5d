import { createProgress } from './progress.mjs';
import { runSetup } from './run-setup.mjs';

await runSetup({ progress: createProgress(), purpose: 'test' });
