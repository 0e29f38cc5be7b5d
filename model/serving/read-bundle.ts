import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import {
  bundleFiles,
  calibrationSchema,
  preprocessingSchema,
  quantizationSchema,
  referencesSchema,
  type Calibration,
  type Manifest,
  type References,
} from '../../contracts/registry/bundle.js';
import { messageOf, PerennialError } from '../../contracts/errors.js';
import { shareBytes } from '../share-bytes.js';
import { readJson } from '../../platform/validation/json-file.js';
import type { SharedReferences } from './nearest.js';
import { verifyBundle } from './verify-bundle.js';

/** The parts of a bundle that serving needs, in memory. */
export interface ServedBundle {
  manifest: Manifest;
  /** Bytes of the graphs; int8 is null unless it passed its checks. */
  graphs: { fp32: Uint8Array; int8: Uint8Array | null };
  /** Null for bundles without a calibration. */
  calibration: Calibration | null;
  /** Null for bundles without references. */
  references: ServedReferences | null;
}

/** Training images that predictions are compared with. */
export interface ServedReferences extends Pick<References, 'images' | 'unfamiliarAbove'> {
  shared: SharedReferences;
}

/**
 * Verifies a bundle and reads what serving needs of it.
 * @throws PerennialError bundle_invalid when a file is damaged or missing, or its content is invalid
 */
export async function readBundle(folder: string): Promise<ServedBundle> {
  const manifest = await verifyBundle(folder);
  const bundle = new BundleReader(folder, manifest);
  await bundle.json(bundleFiles.preprocessing, preprocessingSchema);
  const quantization = await bundle.json(bundleFiles.quantization, quantizationSchema);
  return {
    manifest,
    graphs: {
      fp32: await bundle.shared(bundleFiles.onnx),
      int8:
        quantization?.passed === true && bundle.has(bundleFiles.onnxInt8)
          ? await bundle.shared(bundleFiles.onnxInt8)
          : null,
    },
    calibration: await bundle.json(bundleFiles.calibration, calibrationSchema),
    references: await readReferences(bundle),
  };
}

/** Reads files that the manifest lists: only those have been verified. */
class BundleReader {
  constructor(
    private readonly folder: string,
    private readonly manifest: Manifest,
  ) {}

  has(file: string): boolean {
    return this.manifest.files.some(({ path }) => path === file);
  }

  /** The content of a JSON file; null when the bundle has none. */
  async json<T>(file: string, schema: z.ZodType<T>): Promise<T | null> {
    if (!this.has(file)) return null;
    const text = await readFile(join(this.folder, file), 'utf8');
    try {
      return readJson(schema, text);
    } catch (error) {
      throw invalid(file, `is not valid (${messageOf(error)})`, error);
    }
  }

  /** The bytes of a file, in memory that all threads share. */
  async shared(file: string): Promise<Uint8Array> {
    return shareBytes(await readFile(join(this.folder, file)));
  }
}

async function readReferences(bundle: BundleReader): Promise<ServedReferences | null> {
  const found = await bundle.json(bundleFiles.references, referencesSchema);
  if (found === null) return null;
  const { dimensions, covering, images, unfamiliarAbove, transform } = found;
  if (!bundle.has(bundleFiles.referenceFeatures)) throw invalid(bundleFiles.referenceFeatures, 'is not listed');
  const bytes = await bundle.shared(bundleFiles.referenceFeatures);
  const expected = images.length * dimensions * Float32Array.BYTES_PER_ELEMENT;
  if (bytes.length !== expected) {
    throw invalid(
      bundleFiles.referenceFeatures,
      `has ${bytes.length} bytes; ${images.length} rows of ${dimensions} numbers need ${expected}`,
    );
  }
  if (covering > images.length)
    throw invalid(bundleFiles.references, `names ${covering} covering rows, but holds only ${images.length} rows`);
  // The file is little-endian, like the processors that Perennial runs on.
  const features = new Float32Array(bytes.buffer);
  if (!features.every(Number.isFinite))
    throw invalid(bundleFiles.referenceFeatures, 'holds values that are not numbers');
  const shared = { features, dimensions, coresetRows: covering, rows: images.length, transform };
  return { shared, images, unfamiliarAbove };
}

function invalid(file: string, problem: string, cause?: unknown): PerennialError {
  return new PerennialError(
    'bundle_invalid',
    `${file} of the model bundle ${problem}. The bundle is not used; promote another version or train a new model.`,
    { cause, details: { file } },
  );
}
