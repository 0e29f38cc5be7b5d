import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleFiles } from '../../../../contracts/registry/bundle.js';
import { PerennialError } from '../../../../contracts/errors.js';
import { verifyBundle } from '../../../../model/serving/verify-bundle.js';
import { flipByte, writeTinyBundle } from '../../../support/tiny-bundle.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bundle-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** The file a bundle is refused for. */
async function wrongFile(): Promise<unknown> {
  const error: unknown = await verifyBundle(folder).catch((thrown: unknown) => thrown);
  if (!(error instanceof PerennialError)) return 'none';
  expect(error.code).toBe('bundle_invalid');
  expect(error.message).toContain(String(error.details.file));
  return error.details.file;
}

async function editManifest(edit: (text: string) => string): Promise<void> {
  const path = join(folder, bundleFiles.manifest);
  await writeFile(path, edit(await readFile(path, 'utf8')));
}

describe('verifyBundle', () => {
  it('returns the manifest of a complete bundle', async () => {
    const written = await writeTinyBundle(folder);
    expect(await verifyBundle(folder)).toEqual(written);
  });

  it('refuses one flipped byte in any file, naming it', async () => {
    const { files } = await writeTinyBundle(folder);
    expect(files.length).toBeGreaterThan(5);
    for (const { path } of files) {
      await flipByte(folder, path);
      expect(await wrongFile()).toBe(path);
      await flipByte(folder, path);
    }
    expect(await wrongFile()).toBe('none');
  });

  it('refuses a missing and a shortened file', async () => {
    await writeTinyBundle(folder);
    await truncate(join(folder, bundleFiles.onnx), 100);
    expect(await wrongFile()).toBe(bundleFiles.onnx);
    await rm(join(folder, bundleFiles.onnx));
    expect(await wrongFile()).toBe(bundleFiles.onnx);
  });

  it('refuses a manifest that is missing, no JSON, or lists nothing that can be served', async () => {
    expect(await wrongFile()).toBe(bundleFiles.manifest);
    await writeTinyBundle(folder);
    await editManifest((text) => text.replaceAll(bundleFiles.onnx, 'other.onnx'));
    expect(await wrongFile()).toBe(bundleFiles.onnx);
    await editManifest((text) => text.slice(0, 100));
    expect(await wrongFile()).toBe(bundleFiles.manifest);
  });

  it('never looks outside the folder', async () => {
    await writeTinyBundle(folder);
    await editManifest((text) => text.replace(`"${bundleFiles.modelCard}"`, '"../../etc/passwd"'));
    expect(await wrongFile()).toBe(bundleFiles.manifest);
  });

  it('refuses labels in another order than the manifest has them', async () => {
    await writeTinyBundle(folder, { labels: ['a', 'b', 'c'] });
    await editManifest((text) => text.replace(/"a",\s*"b"/, '"b", "a"'));
    expect(await wrongFile()).toBe(bundleFiles.labels);
  });
});
