import { readFile } from 'node:fs/promises';
import { bundlePath } from '../../../workflows/bundle/path.js';

/** The SDK itself takes about two thirds of this; a library slipped in by an import shows at once. */
const budgetBytes = 3_000_000;

describe('the workflow bundle', () => {
  it('stays within its budget', async () => {
    expect((await readFile(bundlePath)).length).toBeLessThan(budgetBytes);
  });

  it('holds none of the libraries that do not belong into a workflow', async () => {
    const code = await readFile(bundlePath, 'utf8');
    for (const library of ['zod', 'pino', 'pg', '@aws-sdk', '@tensorflow', 'onnxruntime-node', 'sharp', 'express']) {
      expect(code).not.toContain(`node_modules/${library}/`);
    }
  });
});
