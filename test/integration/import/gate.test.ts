import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { createCheckActivities } from '../../../activities/import/activities.js';
import type { CheckResult } from '../../../activities/import/check.js';
import { createValidationActivities } from '../../../activities/validation/activities.js';
import type { ImportInput, ImportOrder } from '../../../contracts/registry/import.js';
import type { Decision } from '../../../contracts/registry/registry.js';
import { createLogger } from '../../../platform/logging.js';
import { importOrderKey, uploadKey } from '../../../stores/objects/object-keys.js';
import { startImportFixture, type ImportFixture } from '../../support/import-fixture.js';
import { gateDefaults } from '../../support/measurements.js';
import { curator } from '../../support/registry-records.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { tinyGraph } from '../../support/tiny-graph.js';
import { refusalOf } from '../../support/uploaded-models.js';

const folder = temporaryFolder();
let fixture: ImportFixture;

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  fixture = await startImportFixture(folder);
}, 60_000);
afterAll(() => fixture.stop());

const tiny = { 'classifier.onnx': tinyGraph(2, 0) };

describe('an imported version', () => {
  const validate = (modelName: string): Promise<Decision> => {
    const deps = {
      ...fixture.stores,
      objects: fixture.served.api.objects,
      bundleFolder: join(folder, 'bundles'),
      threads: 1,
    };
    const { validateCandidate } = createValidationActivities({
      ...deps,
      gate: { ...gateDefaults, minAccuracy: 0.9 },
      imageLimits: { maxPixels: 1e6, maxBytes: 1e6, minSide: 8 },
    });
    const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
    return environment.run(validateCandidate, { modelName, version: 1 });
  };

  it('goes through the promotion gate like any other, but has no source to compare its graph with', async () => {
    await fixture.imported({ model_name: 'from_outside', labels: 'red,green' }, tiny);
    const decision = await validate('from_outside');
    expect(decision.outcome).toBe('promote');
    expect(decision.reasons.find(({ check }) => check === 'export_parity')?.detail).toContain(
      'no source model to compare',
    );
  });

  it('needs approval when its classes differ from those of its dataset', async () => {
    await fixture.imported({ model_name: 'some_classes', labels: 'red,blue' }, tiny);
    expect((await validate('some_classes')).outcome).toBe('needs_approval');
  });
});

describe('the check of an upload', () => {
  const input: ImportInput = {
    modelName: 'deadly',
    dataset: 'flowers',
    uploadId: 'deadly',
    contentId: 'c',
    format: 'onnx',
    trigger: 'manual',
    requestId: 'r',
  };
  const check = (attempt: number): Promise<CheckResult> => {
    const { checkModelUpload } = createCheckActivities({
      ...fixture.stores,
      objects: fixture.served.api.objects,
      scratchFolder: join(folder, 'check'),
      logger: createLogger('test', 'silent'),
      importLimits: { memoryBytes: 1, timeMs: 60_000 },
    });
    const environment = new MockActivityEnvironment({ attempt }, { logger: new DefaultLogger('ERROR') });
    return environment.run(checkModelUpload, input);
  };

  it('blames the model when its process crashes a second time', async () => {
    const bytes = tiny['classifier.onnx'];
    const key = uploadKey('deadly', 0);
    const order: ImportOrder = {
      modelName: 'deadly',
      dataset: 'flowers',
      labels: ['red', 'green'],
      scaling: null,
      output: 'probabilities',
      description: '',
      tags: {},
      licence: null,
      semanticVersion: null,
      fills: null,
      format: 'onnx',
      files: [{ name: 'a.onnx', key, sizeBytes: bytes.length, sha256: 'a'.repeat(64) }],
      by: curator,
    };
    const { objects } = fixture.served.api;
    await objects.put(key, bytes);
    await objects.put(importOrderKey('deadly'), Buffer.from(JSON.stringify(order)));
    await expect(check(1)).rejects.toMatchObject({ code: 'trainer_died' });
    const { code, message } = await refusalOf(check(2));
    expect(code).toBe('bundle_invalid');
    expect(message).toContain('more than 0 MB of memory');
  });
});
