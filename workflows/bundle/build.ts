import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import { bundlePath } from './path.js';

/** Bundles the built workflows ahead of time: a worker starts faster and runs the code that was tested. */
const { code } = await bundleWorkflowCode({
  workflowsPath: fileURLToPath(new URL('../index.js', import.meta.url)),
  workflowInterceptorModules: [fileURLToPath(new URL('../carried-steps.js', import.meta.url))],
});
await writeFile(bundlePath, code);
