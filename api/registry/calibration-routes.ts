import { z } from 'zod';
import { bundleFiles, calibrationSchema, quantizationSchema } from '../../contracts/registry/bundle.js';
import { nameSchema } from '../../contracts/datasets/datasets.js';
import { PerennialError } from '../../contracts/errors.js';
import { calibrationViewSchema } from '../../contracts/registry/http-calibration.js';
import { versionReferenceSchema, type ModelVersion } from '../../contracts/registry/registry.js';
import { chooseAbstention } from '../../domain/predictions/abstention.js';
import { defineRoute, json, text, type Route } from '../http/route.js';
import { calibrationView } from './calibration-view.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { PolicyStore } from '../../stores/promotion/policies.js';
import { readBundleJson } from '../../stores/registry/bundle-files.js';
import { unlessMissing } from '../../stores/registry/bundles.js';
import type { RegistryStore } from '../../stores/registry/registry.js';

interface Dependencies {
  registry: Pick<RegistryStore, 'resolve'>;
  objects: Pick<ObjectStore, 'get'>;
  policies: Pick<PolicyStore, 'get'>;
}

const path = '/api/v1/mlops/models/{name}/versions/{version}/calibration';
const params = z.object({ name: nameSchema, version: versionReferenceSchema });

const problems = [
  'bad_request',
  'not_found',
  'version_without_file',
  'database_unavailable',
  'object_store_unavailable',
] as const;

/** Calibration of a version. */
export function calibrationRoutes(dependencies: Dependencies): Route[] {
  return [reportRoute(dependencies), diagramRoute(dependencies)];
}

function reportRoute({ registry, objects, policies }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path,
    operationId: 'getModelVersionCalibration',
    summary: 'Calibration of a version, and its abstention threshold',
    tag: 'models',
    params,
    success: json(calibrationViewSchema, 'Reliability, risk by confidence, and what the present policy makes of it'),
    problems: [...problems, 'bundle_invalid'],
    async handle({ params: { name, version: reference } }) {
      const version = await registry.resolve(name, reference);
      const calibration = await unlessMissing(
        readBundleJson(objects, version, bundleFiles.calibration, calibrationSchema),
      );
      if (!calibration) throw saysNothing(version);
      const quantization = await unlessMissing(
        readBundleJson(objects, version, bundleFiles.quantization, quantizationSchema),
      );
      const { serving } = await policies.get(name);
      return {
        body: calibrationView(version, calibration, {
          quantization,
          abstention: chooseAbstention(calibration.riskCurve, serving.targetRisk),
        }),
        headers: { 'Cache-Control': 'no-cache' },
      };
    },
  });
}

function diagramRoute({ registry, objects }: Dependencies): Route {
  return defineRoute({
    method: 'get',
    path: `${path}/reliability.svg`,
    operationId: 'getReliabilityDiagram',
    summary: 'Reliability diagram: accuracy by confidence',
    tag: 'models',
    params,
    success: text('image/svg+xml', 'The diagram from its bundle'),
    problems,
    async handle({ params: { name, version: reference } }) {
      const version = await registry.resolve(name, reference);
      const drawn = await unlessMissing(objects.get(`${version.bundleKey}/${bundleFiles.reliability}`));
      if (!drawn) throw saysNothing(version);
      const headers = {
        ETag: `"${version.bundleSha256.slice(0, 32)}"`,
        'Cache-Control': 'no-cache',
        'Content-Type': 'image/svg+xml; charset=utf-8',
      };
      return { body: Buffer.from(drawn).toString('utf8'), headers };
    },
  });
}

function saysNothing({ modelName, version }: ModelVersion): PerennialError {
  return new PerennialError(
    'not_found',
    `The bundle of version ${version} of ${modelName} has no calibration: it was imported or made by an earlier release, or was deleted from the object store. Newly trained versions have one.`,
  );
}
