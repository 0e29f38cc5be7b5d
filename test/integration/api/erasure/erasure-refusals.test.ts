import { problemSchema } from '../../../../contracts/http/problem.js';
import type { ModelVersion } from '../../../../contracts/registry/registry.js';
import { startLineageFixture, type LineageFixture } from '../../../support/lineage-fixture.js';
import { unfenced } from '../../../support/measurements.js';
import { newVersionOf } from '../../../support/registry-records.js';

let lineage: LineageFixture;
let version: ModelVersion;
beforeAll(async () => {
  lineage = await startLineageFixture();
  version = await lineage.train('flowers', { dandelion: 8, grass: 8 });
}, 60_000);
afterAll(() => lineage.stop());

/** The status of an erasure, and code and explanation of a refusal. */
async function erase(kind: string, id: string): Promise<{ status: number; code?: string | undefined; detail: string }> {
  const response = await fetch(`${lineage.served.url}/api/v1/erasures`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind, id, reason: 'asked for' }),
  });
  const refusal = problemSchema.safeParse(await response.json()).data;
  return { status: response.status, code: refusal?.code, detail: refusal?.detail ?? '' };
}
const retirementOf = (modelName: string): string => `POST /api/v1/mlops/models/${modelName}/retire`;

describe('an erasure of what is in Production', () => {
  it('of a model is refused; only its retirement helps', async () => {
    const { status, code, detail } = await erase('model', version.modelName);
    expect([status, code]).toEqual([409, 'referenced']);
    expect(detail).toMatch(/^Model .* cannot be erased while version \d+ is in Production/);
    expect(detail).toContain(`First retire the model: ${retirementOf(version.modelName)}.`);
    expect(detail).not.toMatch(/roll back|Promote/);
  });

  it('of a dataset is refused while a model that was trained on it serves, and names the retirement of each', async () => {
    const { registry } = lineage.served;
    const copy = await registry.register(newVersionOf('a_copy', { dataset: 'flowers' }));
    const change = { modelName: 'a_copy', reason: 'x', ...unfenced };
    await registry.promote({ ...change, version: copy.version, idempotencyKey: 'copy-1' });
    const { status, code, detail } = await erase('dataset', 'flowers');
    expect([status, code]).toEqual([409, 'referenced']);
    for (const name of [version.modelName, 'a_copy']) expect(detail).toContain(retirementOf(name));
    await registry.retire({ ...change, idempotencyKey: 'copy-2' });
    await registry.retire({ ...change, modelName: version.modelName, idempotencyKey: 'original' });
    expect(await erase('dataset', 'flowers')).toMatchObject({ status: 200 });
  });
});
