import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format } from 'prettier';
import { z } from 'zod';
import { createApp } from '../../../../api/app.js';
import { createRoutes } from '../../../../api/routes.js';
import { packageRoot } from '../../../../platform/paths.js';
import { emptyDependencies } from '../../../support/api-dependencies.js';
import { expectDocument } from '../../../support/document.js';

const operationSchema = z.looseObject({
  operationId: z.string(),
  summary: z.string(),
  responses: z.record(z.string(), z.looseObject({ content: z.record(z.string(), z.unknown()).optional() })),
});
const documentSchema = z.looseObject({
  openapi: z.string(),
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
  components: z.looseObject({ schemas: z.record(z.string(), z.unknown()) }),
});

const layerSchema = z.looseObject({
  route: z.looseObject({ path: z.string(), methods: z.record(z.string(), z.boolean()) }).optional(),
});

async function currentDocument(): Promise<z.infer<typeof documentSchema>> {
  const manifest: unknown = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8'));
  const { version } = z.object({ version: z.string() }).parse(manifest);
  const empty = emptyDependencies();
  const { document } = createRoutes({ ...empty, settings: { ...empty.settings, version } });
  return documentSchema.parse(document);
}

describe('the OpenAPI document', () => {
  it('equals docs/openapi.json', async () => {
    const text = JSON.stringify(await currentDocument());
    await expectDocument('docs/openapi.json', await format(text, { parser: 'json', printWidth: 120 }));
  });

  it('describes exactly the routes that Express has', async () => {
    const { paths } = await currentDocument();
    const documented = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method} ${path}`),
    );
    const layers = z.array(layerSchema).parse(createApp(emptyDependencies()).router.stack);
    const mounted = layers.flatMap(({ route }) => {
      const methods = Object.keys(route?.methods ?? {}).filter((method) => method !== '_all');
      return methods.map((method) => `${method} ${(route?.path ?? '').replaceAll(/:(\w+)/g, '{$1}')}`);
    });
    expect(mounted.length).toBeGreaterThan(20);
    expect(documented.sort()).toEqual(mounted.sort());
  });

  it('names every operation once and gives each a problem as default answer', async () => {
    const { paths } = await currentDocument();
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.values(methods).map((operation) => ({ ...operation, speaksV2: /^\/v2(\/|$)/.test(path) })),
    );
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    for (const { responses, speaksV2 } of operations) {
      const [type, name] = speaksV2 ? ['application/json', 'V2Problem'] : ['application/problem+json', 'Problem'];
      expect(responses['default']?.content).toEqual({ [type]: { schema: { $ref: `#/components/schemas/${name}` } } });
    }
  });

  it('refers only to existing components', async () => {
    const document = await currentDocument();
    const references = JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g);
    const used = new Set([...references].map(([, name]) => name));
    expect(used.size).toBeGreaterThan(5);
    expect([...used].filter((name) => !(name !== undefined && name in document.components.schemas))).toEqual([]);
  });
});
