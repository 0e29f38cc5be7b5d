import { z } from 'zod';
import { onnxNames } from '../../../contracts/registry/bundle.js';
import { decodeBase64 } from '../../http/body/decode-base64.js';
import { parseJson } from '../../http/body/parse-json.js';
import { tensorBounds } from '../tensors/tensor-bounds.js';
import { imageBytes, requireFew, writeFlatImage, writeImageTensor } from '../tensors/tensors.js';
import { scanTensors } from '../tensors/scan-tensors.js';

/** The images of a scoring request, independent of its JSON. */
export interface Invocation {
  /** In the order of the request: an image file, or null for the next of the tensors. */
  images: readonly (Uint8Array | null)[];
  /** Pixels of the tensors, concatenated. */
  pixels: Uint8Array;
  tensors: number;
}

const shapes = ['inputs', 'instances', 'dataframe_split', 'dataframe_records'] as const;

const records = z.array(z.strictObject({ [onnxNames.image]: z.unknown() })).min(1);
const scoringSchema = z
  .strictObject({
    inputs: z
      .union([z.array(z.unknown()).min(1), z.strictObject({ [onnxNames.image]: z.array(z.unknown()).min(1) })], {
        error: `expected a list of one image or more, or an object that holds it as ${onnxNames.image}`,
      })
      .optional(),
    instances: z.array(z.unknown()).min(1).optional(),
    dataframe_split: z
      .strictObject({
        columns: z.array(z.union([z.string(), z.number()])).optional(),
        index: z.unknown().optional(),
        data: z.array(z.array(z.unknown())).min(1),
      })
      .optional(),
    dataframe_records: records.optional(),
    params: z.union([z.null(), z.strictObject({})], { error: 'this model takes no params' }).optional(),
  })
  .refine((body) => shapes.filter((shape) => body[shape] !== undefined).length === 1, {
    error: `expected exactly one of ${shapes.join(', ')}`,
  });
type Scoring = z.infer<typeof scoringSchema>;

/**
 * Reads a body of MLflow's scoring protocol. Images are 224×224×3 lists of numbers from 0 to 255, or image files as
 * base64. Parsed JSON takes about ten times the memory of its text, pixels a quarter, so the lists are freed when this
 * function returns. Only one body is parsed at a time.
 * @throws PerennialError bad_request, invalid_tensor
 */
export async function readInvocation(body: Buffer): Promise<Invocation> {
  const scanned = await scanTensors(body);
  if (scanned === null) return gather(cellsOf(parseJson(body, scoringSchema, tensorBounds(body.length))));
  const { pixels, count } = scanned;
  return { images: Array.from({ length: count }, () => null), pixels, tensors: count };
}

/** An image in JSON with its place. */
interface Cell {
  value: unknown;
  pointer: string;
  /** Whether the numbers are one flat list. */
  isFlat?: boolean;
}

interface Cells {
  cells: readonly Cell[];
  pointer: string;
}

function cellsOf({ inputs, instances, dataframe_split: table, dataframe_records: rows }: Scoring): Cells {
  if (table !== undefined) return { cells: cellsOfTable(table), pointer: '#/dataframe_split/data' };
  if (Array.isArray(inputs)) return listed(inputs, '#/inputs');
  if (inputs !== undefined) return listed(inputs[onnxNames.image], `#/inputs/${onnxNames.image}`);
  return listed(instances ?? rows ?? [], instances === undefined ? '#/dataframe_records' : '#/instances');
}

function listed(values: readonly unknown[], pointer: string): Cells {
  requireFew(values.length, pointer);
  const cells = values.map((value, index): Cell => {
    const named = namedSchema.safeParse(value);
    const at = `${pointer}/${index}`;
    return named.success ? { value: named.data.image, pointer: `${at}/${onnxNames.image}` } : { value, pointer: at };
  });
  return { cells, pointer };
}

const namedSchema = z.strictObject({ [onnxNames.image]: z.unknown() });

/** A table has one column of images, or one column per pixel value. */
function cellsOfTable({ columns, data }: NonNullable<Scoring['dataframe_split']>): Cell[] {
  const pointer = '#/dataframe_split/data';
  requireFew(data.length, pointer);
  const width = columns?.length ?? data[0]?.length ?? 0;
  return data.map((row, index) => {
    const at = `${pointer}/${index}`;
    return width === 1 && row.length === 1
      ? { value: row[0], pointer: `${at}/0` }
      : { value: row, pointer: at, isFlat: true };
  });
}

function gather({ cells, pointer }: Cells): Invocation {
  requireFew(cells.length, pointer);
  const tensors = cells.filter(({ value }) => typeof value !== 'string').length;
  const pixels = new Uint8Array(tensors * imageBytes);
  let offset = 0;
  const images = cells.map(({ value, pointer: at, isFlat }) => {
    if (typeof value === 'string') return decodeBase64(value, at);
    if (isFlat === true) writeFlatImage(value, pixels, offset, at);
    else writeImageTensor(value, pixels, offset, at);
    offset += imageBytes;
    return null;
  });
  return { images, pixels, tensors };
}
