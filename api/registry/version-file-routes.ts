import { basename } from 'node:path';
import { z } from 'zod';
import { bundleFiles } from '../../contracts/registry/bundle.js';
import { nameSchema } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { versionFileViewSchema } from '../../contracts/registry/http-versions.js';
import { versionReferenceSchema, type ModelVersion } from '../../contracts/registry/registry.js';
import { readManifest } from '../../stores/registry/bundles.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import { contentTypeOf } from '../http/content-type.js';
import { defineRoute, json, text, type Route } from '../http/route.js';
import { sendObject } from '../http/send.js';

interface Dependencies {
  registry: Pick<RegistryStore, 'resolve'>;
  objects: Pick<ObjectStore, 'get' | 'open'>;
}

const filesPath = '/api/v1/mlops/models/{name}/versions/{version}/files';
const versionParams = z.object({ name: nameSchema, version: versionReferenceSchema });
const problems = [
  'bad_request',
  'not_found',
  'version_without_file',
  'bundle_invalid',
  'database_unavailable',
  'object_store_unavailable',
] as const;

/** The files of a version for other programs: ONNX, TF.js, labels, preprocessing, model card, manifest. */
export function versionFileRoutes(dependencies: Dependencies): Route[] {
  return [listRoute(dependencies), fileRoute(dependencies)];
}

function listRoute({ registry, objects }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: filesPath,
    operationId: 'listVersionFiles',
    summary: 'Files of a version, by name',
    tag: 'models',
    params: versionParams,
    success: json(z.object({ items: z.array(versionFileViewSchema) }), 'All files of the bundle with their digests'),
    problems,
    async handle({ params }) {
      const version = await registry.resolve(params.name, params.version);
      const path = `/api/v1/mlops/models/${version.modelName}/versions/${version.version}/files`;
      const items = (await filesOf(objects, version)).map(({ name, sha256, sizeBytes }) => ({
        ...{ name, sha256, size_bytes: sizeBytes, content_type: contentTypeOf(name) },
        url: `${path}/${encodeURIComponent(name)}`,
      }));
      return { body: { items } };
    },
  });
}

function fileRoute({ registry, objects }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: `${filesPath}/{file}`,
    operationId: 'getVersionFile',
    summary: 'A file of a version; write a slash in its name as %2F',
    tag: 'models',
    params: versionParams.extend({ file: z.string().max(200) }),
    success: text('application/octet-stream', 'The file, with its own content type'),
    problems,
    async handle({ params, request, response }) {
      const version = await registry.resolve(params.name, params.version);
      const file = (await filesOf(objects, version)).find(({ name }) => name === params.file);
      if (!file) throw hasNoFile(version, params.file);
      const headers = {
        ETag: `"${file.sha256}"`,
        'Cache-Control': 'private, no-cache',
        'Content-Type': contentTypeOf(file.name),
        'Content-Length': String(file.sizeBytes),
        'Content-Disposition': `attachment; filename*=UTF-8''${encodeURIComponent(basename(file.name))}`,
      };
      await sendObject(request, response, headers, () => objects.open(`${version.bundleKey}/${file.name}`));
      return { body: '' };
    },
  });
}

interface VersionFile {
  name: string;
  sha256: string;
  sizeBytes: number;
}

/** What the manifest lists, and the manifest itself. */
async function filesOf(objects: Dependencies['objects'], version: ModelVersion): Promise<VersionFile[]> {
  const { manifest, sizeBytes } = await readManifest(objects, version);
  const files = manifest.files.map(({ path, ...file }) => ({
    name: path,
    sha256: file.sha256,
    sizeBytes: file.sizeBytes,
  }));
  return [...files, { name: bundleFiles.manifest, sha256: version.bundleSha256, sizeBytes }].sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
}

function hasNoFile({ modelName, version }: ModelVersion, name: string): PerennialError {
  return new PerennialError(
    'not_found',
    `Version ${version} of ${modelName} has no file ${name}. GET …/versions/${version}/files lists its files.`,
  );
}
