import { createStory } from './story.mjs';
import { runSetup } from './run-setup.mjs';

await runSetup({ story: createStory(), purpose: 'test' });
