import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, dataFolder, packageRoot } from '../../../infra/setup/paths.mjs';
import { readState, remember } from '../../../infra/setup/state.mjs';
import { refusal } from '../../../infra/setup/steps/runtime.mjs';
import { temporaryFolder } from '../../support/temporary-folder.js';

const folder = temporaryFolder();

describe('the state of set-up', () => {
  it('is empty before the first set-up and when the file is damaged', () => {
    const file = join(folder, 'damaged.json');
    expect(readState(file)).toEqual({});
    writeFileSync(file, '{"temporal": "/x');
    expect(readState(file)).toEqual({});
    writeFileSync(file, '{"temporal": "/x", "odd": 3}');
    expect(readState(file)).toEqual({ temporal: '/x' });
  });

  it('is merged step by step and never written incompletely', () => {
    const file = join(folder, 'new', 'state.json');
    remember({ temporal: '/a', build: '1' }, file);
    remember({ build: '2' }, file);
    expect(readState(file)).toEqual({ temporal: '/a', build: '2' });
    expect(readdirSync(join(folder, 'new'))).toEqual(['state.json']);
  });
});

describe('the cache', () => {
  it.each([
    [{ PERENNIAL_CACHE: '/c', XDG_CACHE_HOME: '/x', HOME: '/h' }, 'linux', '/c'],
    [{ XDG_CACHE_HOME: '/x', HOME: '/h' }, 'linux', '/x/perennial'],
    [{ HOME: '/h' }, 'linux', '/h/.cache/perennial'],
    [{ HOME: '/h' }, 'darwin', '/h/Library/Caches/perennial'],
  ] as const)('with %j on %s is %s', (environment, platform, expected) => {
    expect(cacheFolder(environment, platform)).toBe(expected);
  });
});

describe('the data folder', () => {
  it('is .perennial in the project unless PERENNIAL_HOME is set', () => {
    expect(dataFolder({})).toBe(join(packageRoot, '.perennial'));
    expect(dataFolder({ PERENNIAL_HOME: '' })).toBe(join(packageRoot, '.perennial'));
    expect(dataFolder({ PERENNIAL_HOME: '/data' })).toBe('/data');
  });
});

describe('the check of the machine', () => {
  it.each([
    ['18.20.0', 'linux-x64', false, 'Node 20.19.0 or newer'],
    ['20.18.3', 'darwin-arm64', false, 'Node 20.19.0 or newer'],
    ['22.0.0', 'win32-x64', false, 'WSL 2'],
    ['22.0.0', 'linux-arm', false, 'container'],
    ['22.0.0', 'linux-x64', true, 'Debian'],
  ])('refuses Node %s on %s (musl: %s) with advice', (version, platform, isMusl, advice) => {
    expect(refusal(version, platform, isMusl)).toContain(advice);
  });

  it.each(['20.19.0', '22.12.0', '24.0.1', '26.1.0'])('accepts Node %s', (version) => {
    expect(refusal(version, 'linux-x64', false)).toBeNull();
  });
});
