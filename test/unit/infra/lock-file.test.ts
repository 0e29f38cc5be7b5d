import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { packageRoot, platformKey } from '../../../infra/setup/paths.mjs';
import { isInstalled } from '../../../infra/setup/steps/dependencies.mjs';
import { temporaryFolder } from '../../support/temporary-folder.js';

const lockSchema = z.object({
  packages: z.record(z.string(), z.object({ optionalDependencies: z.record(z.string(), z.string()).optional() })),
});

describe('the lock file', () => {
  it('lists the optional packages of every platform, not only of the one it was written on', () => {
    const { packages } = lockSchema.parse(JSON.parse(readFileSync(join(packageRoot, 'package-lock.json'), 'utf8')));
    const paths = Object.keys(packages);
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies)
        .filter((name) => !paths.some((known) => known.endsWith(`node_modules/${name}`)))
        .map((name) => `${name}, of ${path}`),
    );
    expect(missing).toEqual([]);
  });
});

describe('node_modules', () => {
  it('is complete here', () => {
    expect(isInstalled(packageRoot, platformKey())).toBe(true);
  });

  it('is incomplete when the folder is missing, and for another platform', () => {
    expect(isInstalled(temporaryFolder(), platformKey())).toBe(false);
    expect(isInstalled(packageRoot, 'sunos-x64')).toBe(false);
  });
});
