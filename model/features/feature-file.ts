import { rename } from 'node:fs/promises';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, type SchemaElement } from 'hyparquet';
import { fileWriter, ParquetWriter } from 'hyparquet-writer';
import { z } from 'zod';
import { currentPreprocessing } from '../../contracts/registry/bundle.js';
import { PerennialError } from '../../contracts/errors.js';
import { readJson } from '../../platform/validation/json-file.js';
import { backboneDigest, backboneFeatures, featureRuntime } from '../architectures/backbone-digest.js';

const columns = { sha256: 'image_sha256', embedding: 'embedding' } as const;
const backboneKey = 'perennial.backbone';

/** `embedding` is a Parquet LIST of floats, so that any reader returns a list. */
const schema: SchemaElement[] = [
  { name: 'root', num_children: 2 },
  { name: columns.sha256, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
  {
    name: columns.embedding,
    converted_type: 'LIST',
    logical_type: { type: 'LIST' },
    repetition_type: 'REQUIRED',
    num_children: 1,
  },
  { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
  { name: 'element', type: 'FLOAT', repetition_type: 'REQUIRED' },
];

const rowSchema = z.object({
  image_sha256: z.string(),
  embedding: z.custom<ArrayLike<number>>(
    (value) => (Array.isArray(value) || value instanceof Float32Array) && value.length === backboneFeatures,
  ),
});

/** Files of earlier releases have no runtime: TF.js computed them. */
const backboneSchema = z.object({
  name: z.string(),
  digest: z.string(),
  preprocessing: z.number().default(1),
  runtime: z.string().default('tfjs'),
});

/** Writes embeddings to a Parquet file, one row group per call; the file gets its name when it is complete. */
export interface FeatureWriter {
  write(sha256s: readonly string[], embeddings: readonly Float32Array[]): void;
  close(): Promise<void>;
}

export function createFeatureWriter(path: string, backboneName: string): FeatureWriter {
  const temporaryPath = `${path}.tmp`;
  const backbone: z.infer<typeof backboneSchema> = {
    name: backboneName,
    digest: backboneDigest,
    preprocessing: currentPreprocessing,
    runtime: featureRuntime,
  };
  const writer = new ParquetWriter({
    writer: fileWriter(temporaryPath),
    schema,
    // Mantissas of 32-bit floats hardly compress; reading is faster without.
    codec: 'UNCOMPRESSED',
    statistics: false,
    createdBy: 'perennial',
    kvMetadata: [{ key: backboneKey, value: JSON.stringify(backbone) }],
  });
  return {
    write(sha256s, embeddings) {
      void writer.write({
        columnData: [
          { name: columns.sha256, data: [...sha256s] },
          // Without a dictionary: its search for repeated values takes longer than the rest.
          { name: columns.embedding, data: embeddings.map((embedding) => Array.from(embedding)), encoding: 'PLAIN' },
        ],
        rowGroupSize: sha256s.length,
      });
    },
    async close() {
      await writer.finish();
      await rename(temporaryPath, path);
    },
  };
}

/**
 * Reads the embeddings of the given images out of feature files, as rows of one matrix in the order of `sha256s`.
 * @throws PerennialError conflict when a file comes from another backbone, preprocessing or runtime, not_found when an image is in no file
 */
export async function readFeatures(paths: readonly string[], sha256s: readonly string[]): Promise<Float32Array> {
  const rows = new Map(sha256s.map((sha256, row) => [sha256, row]));
  const matrix = new Float32Array(sha256s.length * backboneFeatures);
  const found = new Set<string>();
  for (const path of paths) {
    for (const { image_sha256, embedding } of await readRows(path)) {
      const row = rows.get(image_sha256);
      if (row === undefined) continue;
      matrix.set(embedding, row * backboneFeatures);
      found.add(image_sha256);
    }
  }
  const missing = sha256s.find((sha256) => !found.has(sha256));
  if (missing !== undefined) {
    throw new PerennialError('not_found', `Image ${missing} has no embedding in the feature files; embed it first.`);
  }
  return matrix;
}

async function readRows(path: string): Promise<z.infer<typeof rowSchema>[]> {
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  const written = metadata.key_value_metadata?.find(({ key }) => key === backboneKey)?.value;
  const backbone = written === undefined ? null : readJson(backboneSchema, written);
  const found = backbone === null ? 'unknown' : describeKind(backbone);
  const expected = describeKind({
    digest: backboneDigest,
    preprocessing: currentPreprocessing,
    runtime: featureRuntime,
  });
  if (found !== expected) {
    throw new PerennialError(
      'conflict',
      `${path} holds features of ${found}, not of ${expected}; embed the images again.`,
    );
  }
  const rows = await parquetReadObjects({ file, metadata });
  return rows.map((row) => rowSchema.parse(row));
}

function describeKind(kind: Pick<z.infer<typeof backboneSchema>, 'digest' | 'preprocessing' | 'runtime'>): string {
  return `backbone ${kind.digest}, preprocessing ${kind.preprocessing} and runtime ${kind.runtime}`;
}
